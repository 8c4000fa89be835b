import type { CheckpointPlace, PlayerInfo, ProducerRecord, ToldPauses } from '@gametape/shared';

/** How a room stands at a position, as spectators are told. Times are microseconds of room time. */
export interface Standing extends ToldPauses {
  /** Last seq that is part of it. */
  readonly seq: number;
  /** Events up to there. */
  readonly events: number;
  readonly players: readonly PlayerInfo[];
  /** Every producer that has had an entry, by index. */
  readonly producers: readonly ProducerRecord[];
  readonly checkpoints: readonly CheckpointPlace[];
  /** Play time, in microseconds. */
  readonly playTime: number;
}

/** The room as spectators are shown it: as it is, or as it was some time ago (V2). */
export interface ShownRoom {
  /** It is not shown as what has been taken of it, but as it was before. */
  readonly isHidden: boolean;
  standing(): Standing;
  /** Producers and keyframes as records, at the position of `standing` in the same turn of the event loop (W5). */
  snapshot(): Uint8Array;
  /** Everything up to that seq is shown from now on. */
  show(upTo: number): void;
  /**
   * Entries up to that seq cannot wait until they are shown: what they did stays hidden until then. Hidden once more, it is shown
   * in between as it was the first time, and at no other point.
   */
  hide(upTo: number): void;
}
