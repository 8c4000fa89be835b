import type { RecordingMeta } from '@gametape/shared';
import type { Audience } from './audience.ts';

/** What is put together is given again for so long, to all who ask. */
const SHARED_MS = 250;

/** What there is of the past of a room, as JSON (PROTOCOL.md, "Watching"). */
export interface SyncAnswer {
  /** The same for the same content, but for the time that passes. */
  readonly etag: string;
  readonly json: string;
}

/** All answers of one point in time: they differ by nothing but where their fragments begin. */
interface Point {
  readonly etag: string;
  /** What stands before and behind the fragments. */
  readonly before: string;
  readonly behind: string;
  /** The fragments, with commas between them. */
  readonly rows: string;
  /** Where in `rows` each of them begins, and its last seq. */
  readonly places: readonly { readonly at: number; readonly lastSeq: number }[];
}

/**
 * Tells whoever asks where the past of a live room is. However many ask, and from wherever, it is put together a few times a
 * second: who plays is not to notice it.
 */
export class SyncAnswers {
  readonly #audience: Audience;
  readonly #meta: RecordingMeta;
  readonly #epoch: number;
  #point: Promise<Point> | undefined;

  constructor(audience: Audience, meta: RecordingMeta, epoch: number) {
    this.#audience = audience;
    this.#meta = meta;
    this.#epoch = epoch;
  }

  /** Leaves out the fragments up to seq `after`. @throws GametapeError `JOURNAL_FAILED` */
  async answer(after: number): Promise<SyncAnswer> {
    this.#point ??= this.#takeShared();
    const { etag, before, behind, rows, places } = await this.#point;
    const from = firstAfter(places, after);
    return { etag: `W/"${etag}-${from}"`, json: `${before}${rows.slice(places[from]?.at ?? rows.length)}${behind}` };
  }

  /** It is not kept for longer than it is good: it may be long. */
  #takeShared(): Promise<Point> {
    const point = this.#take();
    const forget = () => {
      if (this.#point === point) this.#point = undefined;
    };
    setTimeout(forget, SHARED_MS).unref();
    point.catch(forget);
    return point;
  }

  async #take(): Promise<Point> {
    const { standing, mark } = await this.#audience.standingNow();
    const { recordingId, room, profile, createdAt } = this.#meta;
    const { roomTime, delayMs, holdMs } = this.#audience;
    const { seq: headSeq, pauses, paused, changes, players, producers, checkpoints } = standing;
    const { fragments, tail } = await this.#audience.fragments.list(mark);
    const identity = { recordingId, room, profile, epoch: this.#epoch, createdAt };
    const clock = { roomTime, delayMs, holdMs, headSeq };
    const who = { pauses, ...(paused && { paused }), changes, players, producers, checkpoints };
    const places: Point['places'][number][] = [];
    let rows = '';
    for (const fragment of fragments) {
      if (rows !== '') rows += ',';
      places.push({ at: rows.length, lastSeq: fragment.lastSeq });
      rows += JSON.stringify(fragment);
    }
    return {
      etag: `${this.#epoch}-${mark?.number ?? 'none'}-${tail?.name ?? 'none'}`,
      before: `${JSON.stringify({ ...identity, ...clock, ...who }).slice(0, -1)},"fragments":[`,
      behind: tail ? `],"tail":${JSON.stringify(tail)}}` : ']}',
      rows,
      places,
    };
  }
}

/** The index of the first with entries after that seq: by halves, as there may be many. */
function firstAfter(places: Point['places'], after: number): number {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((places[middle] as Point['places'][number]).lastSeq <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
