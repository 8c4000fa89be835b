import { type Compression, GametapeError, isGametapeError } from '@gametape/shared';
import type { LiveCheckpoint } from './api.ts';
import { after, type Place, type RecentArrivals } from './arrivals.ts';
import { LiveCursor, type LiveSource, OTHER_FRAGMENTS, type Passed } from './live-cursor.ts';
import type { EdgePoint, LiveEdge } from './live-edge.ts';
import type { Reel, ReelCursor, ReelEdge } from './reel.ts';
import { RoomOver } from './room-over.ts';
import type { PastRow, RoomPast, RoomPastOptions } from './room-past.ts';
import { RoomStates } from './room-states.ts';
import type { RecordingTape } from './tape.ts';
import { type Persistence, tryAgain } from './try-again.ts';

/** A recording that is still being finished. */
const FINISHING: Persistence = {
  tries: 60,
  pauseMs: () => 500,
  isWorthIt: (error) => isGametapeError(error, 'NOT_FOUND') || isGametapeError(error, 'BAD_RECORDING'),
};

export interface LiveReelOptions extends Omit<RoomPastOptions, 'compression' | 'signal'> {
  readonly edge: LiveEdge;
  readonly compression: () => Promise<Compression>;
}

/**
 * A live room as a reel: the edge, what arrived lately, the past in fragments, and the recording once the room is over. All of
 * them tell the same, so that a cursor may go from one to the next.
 */
export class LiveReel implements Reel, LiveSource {
  readonly #options: LiveReelOptions;
  readonly #edge: ReelEdge;
  #opening: Promise<RoomPast> | undefined;
  /** The epoch in which the past was asked for: what it told of may be lost in the next. */
  #pastEpoch = 0;
  #tape: RecordingTape | undefined;
  #finishing: Promise<RecordingTape> | undefined;
  readonly #closing = new AbortController();
  #isOver = false;
  #rest: string | undefined;

  constructor(options: LiveReelOptions) {
    const { edge } = options;
    this.#options = options;
    this.#edge = {
      get seq() {
        return edge.seq;
      },
      get players() {
        return edge.players;
      },
      times: edge,
      stateOf: (player) => edge.stateOf(player),
      fork: () => new LiveCursor(this, edge.fork()),
      follow: (follower) => edge.follow(follower),
    };
  }

  get duration(): number {
    return (this.#isOver ? this.#tape?.duration : undefined) ?? this.#options.edge.duration;
  }

  get edge(): ReelEdge | undefined {
    return this.#isOver ? undefined : this.#edge;
  }

  get recent(): RecentArrivals {
    return this.#options.edge.recent;
  }

  get rest(): string | undefined {
    return this.#rest;
  }

  /** The room has ended, `durationS` of play time long. `isComplete`: all of it has arrived. */
  end(durationS: number, isComplete: boolean): void {
    if (!isComplete) this.#rest = this.#options.recordingId;
    this.#options.edge.end(durationS);
    this.#isOver = true;
  }

  /** The room is over, and nobody has said how: its recording tells the rest. */
  finish(): void {
    const { edge, recordingId } = this.#options;
    this.#finished(recordingId).then(
      ({ duration }) => this.#endAnyway(duration, false),
      () => {
        if (!this.#closing.signal.aborted) this.#endAnyway(edge.duration, true);
      },
    );
  }

  /** Nobody is left who would send it again: what has arrived and does not fit is left out, one after the other. */
  #endAnyway(durationS: number, isComplete: boolean): void {
    for (;;) {
      try {
        this.end(durationS, isComplete);
        return;
      } catch (error) {
        if (!isGametapeError(error)) throw error;
      }
    }
  }

  secondsAt(time: number): number {
    return this.#options.edge.secondsAt(time);
  }

  async cursorAt(time: number): Promise<ReelCursor> {
    if (this.#tape) return await this.#tape.cursorAt(time);
    try {
      return await this.#tryAgain(OTHER_FRAGMENTS, (tries) => this.#liveCursorAt(time, tries > 1));
    } catch (error) {
      if (!(error instanceof RoomOver)) throw error;
      return await (await this.#finished(error.recordingId)).cursorAt(time);
    }
  }

  async past(isStale: boolean): Promise<RoomPast> {
    const { edge, recordingId } = this.#options;
    if (this.#isOver) throw new RoomOver(recordingId);
    this.#opening ??= this.#openPast();
    const past = await this.#opening;
    const { from } = this.recent;
    const isAnew = isStale || edge.welcomeEpoch !== this.#pastEpoch;
    this.#pastEpoch = edge.welcomeEpoch;
    if (isAnew) past.forgetNames();
    if (isAnew || past.rows.length === 0 || past.headSeq < from) await this.#refresh(past, from);
    for (const producer of past.producers.values()) {
      if (!edge.producers.has(producer.index)) edge.producers.set(producer.index, producer);
    }
    return past;
  }

  async recorded(recordingId: string, from: number, isPassed: (place: Place) => boolean): Promise<ReelCursor> {
    const tape = await this.#finished(recordingId);
    return await tape.cursorAfter(from, isPassed);
  }

  async statesAfter(passed: readonly Passed[]): Promise<RoomStates> {
    const { losses } = this.recent;
    return await this.#tryAgain(OTHER_FRAGMENTS, async (tries) => {
      const past = await this.past(tries > 1);
      const isAllPassed = ({ startTime, firstSeq }: PastRow) => {
        return passed.some(({ last, seq }) => startTime < last.time && firstSeq <= seq + 1);
      };
      const row = past.rows.findLast(isAllPassed);
      const cursor = new LiveCursor(this, await this.#startOf(past, row, losses), passed);
      while (Number.isFinite(await cursor.nextTime())) cursor.step();
      return cursor.states;
    });
  }

  async checkpoints(): Promise<readonly LiveCheckpoint[]> {
    try {
      const { checkpoints } = this.#tape ?? (await this.#tryAgain(OTHER_FRAGMENTS, () => this.past(true)));
      return checkpoints.map(({ name, time }) => ({ name, time: this.#tape ? time : this.secondsAt(time) }));
    } catch (error) {
      if (!(error instanceof RoomOver)) throw error;
      const { checkpoints } = await this.#finished(error.recordingId);
      return checkpoints.map(({ name, time }) => ({ name, time }));
    }
  }

  /** Nothing is looked for any more. */
  async close(): Promise<void> {
    this.#closing.abort(new GametapeError('SESSION_CLOSED', `no longer watching ${this.#options.room}`));
    await this.#tape?.close();
  }

  /** Pages that only ever watch what happens now need not load what reads the past. */
  async #openPast(): Promise<RoomPast> {
    const { RoomPast } = await import('./room-past.ts');
    const { compression, ...options } = this.#options;
    return new RoomPast({ ...options, compression: await compression(), signal: this.#closing.signal });
  }

  async #refresh(past: RoomPast, from: number): Promise<void> {
    try {
      await past.refresh(from);
    } catch (error) {
      if (!isGametapeError(error, 'NOT_FOUND')) throw error;
      // A relay that was started anew knows nothing of a room that is over, except for what it has left.
      const { recordingId } = this.#options;
      if (await this.#isRecorded(recordingId)) throw new RoomOver(recordingId);
      throw error;
    }
  }

  async #isRecorded(recordingId: string): Promise<boolean> {
    try {
      await this.#openRecording(recordingId);
      return true;
    } catch (error) {
      if (FINISHING.isWorthIt(error)) return false;
      throw error;
    }
  }

  async #liveCursorAt(time: number, isStale: boolean): Promise<LiveCursor> {
    const { losses } = this.recent;
    const past = await this.past(isStale);
    const row = past.rows.findLast(({ startTime }) => this.secondsAt(startTime) <= time) ?? past.rows[0];
    const start = await this.#startOf(past, row, losses);
    // Of a room in which nothing has been shown yet there is only what is about to be.
    const cursor = new LiveCursor(this, row ? start : { ...this.#options.edge.fork(), states: start.states });
    while ((await cursor.nextTime()) <= Math.min(time, Number.MAX_VALUE)) cursor.step();
    return cursor;
  }

  /** The start of a fragment, or of all where none is given. */
  async #startOf(past: RoomPast, row: PastRow | undefined, losses: number): Promise<EdgePoint> {
    const fragment = row && (await past.load(row));
    const { profile, producers, crc32 } = this.#options.edge;
    const states = new RoomStates(profile, producers, crc32, fragment?.keyframes());
    const last = after(row?.startTime ?? Number.NEGATIVE_INFINITY);
    return { states, queue: [], seq: row ? row.firstSeq - 1 : 0, last, losses };
  }

  /** The recording that the room has left, as soon as it is finished. */
  #finished(recordingId: string): Promise<RecordingTape> {
    this.#finishing ??= this.#tryAgain(FINISHING, () => this.#openRecording(recordingId)).catch((error) => {
      this.#finishing = undefined;
      throw error;
    });
    return this.#finishing;
  }

  async #openRecording(recordingId: string): Promise<RecordingTape> {
    if (this.#tape) return this.#tape;
    const { baseUrl, compression } = this.#options;
    const [{ openTape }, { HttpSource }] = await Promise.all([
      import('./tape.ts'),
      import('./platform/http-source.ts'),
    ]);
    const source = new HttpSource(`${baseUrl}/v1/recordings/${recordingId}.lmsp`, { hasAnswered: true });
    const tape = await openTape(source, await compression());
    const { signal } = this.#closing;
    if (this.#tape || signal.aborted) await tape.close();
    signal.throwIfAborted();
    this.#tape ??= tape;
    return this.#tape;
  }

  #tryAgain<Result>(persistence: Persistence, work: (tries: number) => Promise<Result>): Promise<Result> {
    return tryAgain(work, { ...persistence, signal: this.#closing.signal });
  }
}

const HTTP_OF: Readonly<Record<string, string>> = {
  'ws:': 'http:',
  'wss:': 'https:',
  'http:': 'http:',
  'https:': 'https:',
};

/** Where the relay at the address of a WebSocket answers HTTP. @throws GametapeError `UNREACHABLE` where there can be none */
export function httpUrlOf(url: string): string {
  const address = URL.canParse(url) ? new URL(url) : undefined;
  const protocol = HTTP_OF[address?.protocol ?? ''];
  if (!address || !protocol) throw new GametapeError('UNREACHABLE', `${url}: not an address of a relay`);
  address.protocol = protocol;
  return `${address.origin}${address.pathname.replace(/\/+$/, '')}`;
}
