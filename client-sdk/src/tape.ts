import {
  type ByteSource,
  type Compression,
  createdDate,
  type EntryPlace,
  GametapeError,
  type PlayClock,
  type PlayerSummary,
  RecordingReader,
  type SoughtBlock,
  type State,
} from '@gametape/shared';
import type { EventFilter, Tape, TapeCheckpoint, TapeEvent, TapeMarker } from './api.ts';
import { toSeconds } from './producer.ts';
import type { ReelCursor } from './reel.ts';
import { TapeCursor } from './tape-cursor.ts';
import { secondsOf, TapeEvents } from './tape-events.ts';

/** Half a microsecond, and as much again for what a division loses. */
const ROUNDING_S = 1e-6;

/** Opens a recording in two reads. @throws GametapeError `BAD_RECORDING`, `VERSION_UNKNOWN`, `DAMAGED`, `NOT_FOUND` */
export async function openTape(source: ByteSource, compression: Compression): Promise<RecordingTape> {
  return new RecordingTape(await RecordingReader.open(source, compression), compression);
}

export class RecordingTape implements Tape {
  readonly #reader: RecordingReader;
  readonly #compression: Compression;

  constructor(reader: RecordingReader, compression: Compression) {
    this.#reader = reader;
    this.#compression = compression;
  }

  get recordingId(): string {
    return this.#reader.meta.recordingId;
  }

  get room(): string {
    return this.#reader.meta.room;
  }

  get profile(): string {
    return this.#reader.meta.profile;
  }

  get createdAt(): Date {
    return createdDate(this.#reader.meta.createdAt);
  }

  get duration(): number {
    return toSeconds(this.#reader.durationUs);
  }

  get players(): readonly PlayerSummary[] {
    return this.#reader.summary?.players ?? [];
  }

  get checkpoints(): readonly TapeCheckpoint[] {
    const clock = this.#reader.playClock();
    return this.#reader.checkpoints.map(({ name, time, eventIndex }) => {
      return { name, time: toSeconds(clock.playTime(time)), eventIndex };
    });
  }

  get complete(): boolean {
    return this.#reader.summary?.complete ?? false;
  }

  get eventCount(): number {
    return this.#reader.blocks.reduce((sum, { events }) => sum + events, 0);
  }

  get markers(): readonly TapeMarker[] {
    const clock = this.#reader.playClock();
    return this.#reader.markers.map(({ type, producer, time, seq, eventIndex }) => {
      const player = this.#reader.producers.get(producer)?.player ?? '';
      return { type, player, time: toSeconds(clock.playTime(time)), seq, eventIndex };
    });
  }

  events(filter: EventFilter = {}): AsyncGenerator<TapeEvent> {
    const { from = 0 } = filter;
    const clock = this.#reader.playClock();
    const start = this.#blockAt(clock, (time) => time < from);
    return new TapeEvents({
      filter,
      blocks: this.#reader.replayBlocks(start),
      index: this.#reader.blocks.slice(0, start).reduce((sum, block) => sum + block.events, 0),
      clock,
      compression: this.#compression,
    });
  }

  async refresh(): Promise<boolean> {
    return await this.#reader.refresh();
  }

  async statesAt(time: number): Promise<Map<string, State>> {
    const clock = this.#reader.playClock();
    const sought = await this.#seek(time, clock);
    return new Map(sought && statesOf(sought.at.contexts));
  }

  async cursorAt(time: number): Promise<ReelCursor> {
    const clock = this.#reader.playClock();
    const sought = await this.#seek(time, clock);
    return new TapeCursor(sought && (await this.#reader.cursorAt(sought.block, sought.at)), clock);
  }

  async checkpoint(name: string): Promise<Map<string, State>> {
    const found = this.#reader.checkpoints.findLast((checkpoint) => checkpoint.name === name);
    if (!found) {
      const names = [...new Set(this.#reader.checkpoints.map((checkpoint) => checkpoint.name))].join(', ');
      throw new GametapeError('NOT_FOUND', `checkpoint ${name}: not there; the checkpoints are ${names || 'none'}`);
    }
    const { blocks } = this.#reader;
    for (
      let block = Math.max(
        0,
        blocks.findLastIndex(({ firstTime }) => firstTime <= found.time),
      );
      ;
      block--
    ) {
      let isPassed = false;
      const { contexts } = await this.#reader.seek(block, ({ seq, time }) => {
        if (isPassed || time > found.time) return false;
        isPassed = seq === found.seq;
        return true;
      });
      // Several blocks may begin at that very time: it is in one of them, or in the one before.
      if (isPassed || block === 0 || (blocks[block]?.firstTime ?? 0) < found.time) return statesOf(contexts);
    }
  }

  /** A cursor of what is not `isPassed`, which is everything before that room time, in microseconds. */
  async cursorAfter(roomTime: number, isPassed: (place: EntryPlace) => boolean): Promise<ReelCursor> {
    const clock = this.#reader.playClock();
    const sought = await this.#seek(toSeconds(clock.playTime(roomTime)) - ROUNDING_S, clock);
    return new TapeCursor(sought && (await this.#reader.cursorAt(sought.block, sought.at)), clock, isPassed);
  }

  /** Every producer after all entries up to and including `time`, and the block that ends in; undefined where there is none. */
  async #seek(time: number, clock: PlayClock): Promise<{ block: number; at: SoughtBlock } | undefined> {
    // Exact timestamps of imports may lie a rounding before the microsecond that the index knows.
    let block = this.#blockAt(clock, (first) => first <= time + ROUNDING_S);
    if (this.#reader.blocks.length === 0) return undefined;
    for (;;) {
      const at = await this.#reader.seek(block, (entry) => secondsOf(entry, clock) <= time);
      if (at.due > 0 || block === 0) return { block, at };
      block--;
    }
  }

  async stateAt(time: number, player: string): Promise<State> {
    const state = (await this.statesAt(time)).get(player);
    if (state) return state;
    const players = [...new Set([...this.#reader.producers.values()].map((producer) => producer.player))].join(', ');
    throw new GametapeError('NOT_FOUND', `${player}: no state at ${time} s; the players are ${players || 'none'}`);
  }

  async close(): Promise<void> {
    await this.#reader.source.close?.();
  }

  /** The last block whose first play time, in seconds, may come first. */
  #blockAt(clock: PlayClock, mayComeFirst: (seconds: number) => boolean): number {
    let at = 0;
    for (const [index, { firstTime }] of this.#reader.blocks.entries()) {
      if (!mayComeFirst(toSeconds(clock.playTime(firstTime)))) break;
      at = index;
    }
    return at;
  }
}

/** A player's later instance, still empty here, must not hide the state of the one before. */
function statesOf(contexts: SoughtBlock['contexts']): Map<string, State> {
  const known = [...contexts.values()].filter(({ state }) => state.size > 0);
  return new Map(known.map(({ player, state }) => [player, state.toJson()]));
}
