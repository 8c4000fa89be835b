import { type Compression, GametapeError, isGametapeError } from '@gametape/shared';
import type { LiveCheckpoint } from './api.ts';
import { after, type Place, type RecentArrivals } from './arrivals.ts';
import { LiveCursor, type LiveSource } from './live-cursor.ts';
import type { LiveEdge } from './live-edge.ts';
import type { Reel, ReelCursor, ReelEdge } from './reel.ts';
import { RoomOver } from './room-over.ts';
import type { RoomPast, RoomPastOptions } from './room-past.ts';
import { RoomStates } from './room-states.ts';
import type { RecordingTape } from './tape.ts';

/** How often a recording that is still being finished is asked for, and how often again. */
const FINISHING_MS = 500;
const FINISHING_TRIES = 60;
/** A relay that starts anew, or a tail that is gone. */
const TRIES = 5;

export interface LiveReelOptions extends Omit<RoomPastOptions, 'compression'> {
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
  #tape: RecordingTape | undefined;
  #finishing: Promise<RecordingTape> | undefined;
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
      ({ duration }) => this.end(duration, false),
      () => this.end(edge.duration, true),
    );
  }

  secondsAt(time: number): number {
    return this.#options.edge.secondsAt(time);
  }

  async cursorAt(time: number): Promise<ReelCursor> {
    for (let tries = 1; ; tries++) {
      if (this.#tape) return await this.#tape.cursorAt(time);
      try {
        const cursor = await this.#cursorIn(await this.past(tries > 1), time);
        while ((await cursor.nextTime()) <= Math.min(time, Number.MAX_VALUE)) cursor.step();
        return cursor;
      } catch (error) {
        if (error instanceof RoomOver) this.#tape = await this.#finished(error.recordingId);
        else if (tries === TRIES || !isGametapeError(error, 'NOT_FOUND')) throw error;
      }
    }
  }

  async past(isStale: boolean): Promise<RoomPast> {
    const { edge } = this.#options;
    this.#opening ??= this.#openPast();
    const past = await this.#opening;
    const { from } = this.recent;
    if (isStale) past.forgetNames();
    if (isStale || past.rows.length === 0 || past.headSeq < from) await past.refresh(from);
    for (const producer of past.producers.values()) {
      if (!edge.producers.has(producer.index)) edge.producers.set(producer.index, producer);
    }
    return past;
  }

  async recorded(recordingId: string, from: number, isPassed: (place: Place) => boolean): Promise<ReelCursor> {
    const tape = await this.#finished(recordingId);
    return await tape.cursorAfter(from, isPassed);
  }

  async checkpoints(): Promise<readonly LiveCheckpoint[]> {
    try {
      const { checkpoints } = this.#tape ?? (await this.past(true));
      return checkpoints.map(({ name, time }) => ({ name, time: this.#tape ? time : this.secondsAt(time) }));
    } catch (error) {
      if (!(error instanceof RoomOver)) throw error;
      const { checkpoints } = await this.#finished(error.recordingId);
      return checkpoints.map(({ name, time }) => ({ name, time }));
    }
  }

  async close(): Promise<void> {
    await this.#tape?.close();
  }

  /** Pages that only ever watch what happens now need not load what reads the past. */
  async #openPast(): Promise<RoomPast> {
    const { RoomPast } = await import('./room-past.ts');
    const { compression, ...options } = this.#options;
    return new RoomPast({ ...options, compression: await compression() });
  }

  /** At the start of the last fragment that begins no later. */
  async #cursorIn(past: RoomPast, time: number): Promise<LiveCursor> {
    const { edge } = this.#options;
    const row = past.rows.findLast(({ startTime }) => this.secondsAt(startTime) <= time) ?? past.rows[0];
    const { profile, producers, crc32 } = edge;
    if (!row) return new LiveCursor(this, { ...edge.fork(), states: new RoomStates(profile, producers, crc32) });
    const fragment = await past.load(row);
    const states = new RoomStates(profile, producers, crc32, fragment.keyframes());
    const seq = row.firstSeq - 1;
    return new LiveCursor(this, { states, queue: [], seq, last: after(row.startTime) });
  }

  /** The recording that the room has left, as soon as it is finished. */
  #finished(recordingId: string): Promise<RecordingTape> {
    this.#finishing ??= this.#openRecording(recordingId).catch((error) => {
      this.#finishing = undefined;
      throw error;
    });
    return this.#finishing;
  }

  async #openRecording(recordingId: string): Promise<RecordingTape> {
    const { baseUrl, compression } = this.#options;
    const [{ openTape }, { HttpSource }] = await Promise.all([
      import('./tape.ts'),
      import('./platform/http-source.ts'),
    ]);
    for (let tries = 1; ; tries++) {
      try {
        const source = new HttpSource(`${baseUrl}/v1/recordings/${recordingId}.lmsp`);
        this.#tape = await openTape(source, await compression());
        return this.#tape;
      } catch (error) {
        const isLater = isGametapeError(error, 'NOT_FOUND') || isGametapeError(error, 'BAD_RECORDING');
        if (!isLater || tries === FINISHING_TRIES) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, FINISHING_MS));
    }
  }
}

/** Where the relay at a WebSocket address answers HTTP. */
export function httpUrlOf(url: string): string {
  const address = new URL(url);
  if (address.protocol !== 'ws:' && address.protocol !== 'wss:') {
    throw new GametapeError('UNREACHABLE', `${url}: not an address of a relay`);
  }
  address.protocol = address.protocol === 'wss:' ? 'https:' : 'http:';
  return `${address.origin}${address.pathname.replace(/\/+$/, '')}`;
}
