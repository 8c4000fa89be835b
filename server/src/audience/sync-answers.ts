import type { RecordingMeta } from '@gametape/shared';
import type { Audience } from './audience.ts';

/** An answer is given again for so long, to all who ask the same. */
const SHARED_MS = 250;
/** Of one point in time, answers that differ by where they begin. */
const KEPT_ANSWERS = 16;

/** What there is of the past of a room, as JSON (PROTOCOL.md, "Watching"). */
export interface SyncAnswer {
  /** The same for the same content, but for the time that passes. */
  readonly etag: string;
  readonly json: string;
}

interface Point {
  readonly answers: Map<number, Promise<SyncAnswer>>;
  readonly taken: ReturnType<Audience['standingNow']>;
}

/** Tells whoever asks where the past of a live room is. However many ask, it is put together a few times a second. */
export class SyncAnswers {
  readonly #audience: Audience;
  readonly #meta: RecordingMeta;
  readonly #epoch: number;
  #point: Point | undefined;

  constructor(audience: Audience, meta: RecordingMeta, epoch: number) {
    this.#audience = audience;
    this.#meta = meta;
    this.#epoch = epoch;
  }

  /** Leaves out the fragments up to seq `after`. @throws GametapeError `JOURNAL_FAILED` */
  async answer(after: number): Promise<SyncAnswer> {
    this.#point ??= this.#take();
    const point = this.#point;
    const known = point.answers.get(after);
    if (known) return await known;
    const answer = this.#make(point, after);
    if (point.answers.size < KEPT_ANSWERS) point.answers.set(after, answer);
    try {
      return await answer;
    } catch (error) {
      this.#forget(point);
      throw error;
    }
  }

  /** It is not kept for longer than it is good: it may be long, and holds on to a block. */
  #take(): Point {
    const point = { answers: new Map(), taken: this.#audience.standingNow() };
    setTimeout(() => this.#forget(point), SHARED_MS).unref();
    return point;
  }

  #forget(point: Point): void {
    if (this.#point === point) this.#point = undefined;
  }

  async #make({ taken }: Point, after: number): Promise<SyncAnswer> {
    const { standing, mark } = await taken;
    const { recordingId, room, profile, createdAt } = this.#meta;
    const { roomTime, delayMs, holdMs } = this.#audience;
    const { seq: headSeq, pauses, paused, changes, players, producers, checkpoints } = standing;
    const { fragments, tail } = await this.#audience.fragments.list(mark, after);
    const identity = { recordingId, room, profile, epoch: this.#epoch, createdAt };
    const clock = { roomTime, delayMs, holdMs, headSeq };
    const who = { pauses, ...(paused && { paused }), changes, players, producers, checkpoints };
    const json = JSON.stringify({ ...identity, ...clock, ...who, fragments, ...(tail && { tail }) });
    return { etag: `W/"${this.#epoch}-${mark?.number ?? 'none'}-${tail?.name ?? 'none'}-${after}"`, json };
  }
}
