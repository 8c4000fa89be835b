/** One block of the past of a live room, as `sync` lists it (PROTOCOL.md, "The past over HTTP"). Times are microseconds of room time. */
export interface FragmentRow {
  /** What is under it never changes. */
  readonly name: string;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** No entry of a fragment before it is placed later. */
  readonly startTime: number;
  readonly firstTime: number;
  readonly lastTime: number;
  /** Its length. */
  readonly bytes: number;
}
