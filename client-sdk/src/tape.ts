import {
  type ByteSource,
  type Compression,
  GametapeError,
  type LiveState,
  PlayClock,
  type PlayerSummary,
  RecordingReader,
  type State,
  type TimelineEntry,
} from '@gametape/shared';
import type { EventFilter, Tape, TapeCheckpoint, TapeEvent } from './api.ts';
import { toSeconds } from './producer.ts';

/** Opens a recording in two reads. @throws GametapeError `BAD_RECORDING`, `VERSION_UNKNOWN`, `DAMAGED`, `NOT_FOUND` */
export async function openTape(source: ByteSource, compression: Compression): Promise<Tape> {
  return new RecordingTape(await RecordingReader.open(source, compression));
}

class RecordingTape implements Tape {
  readonly #reader: RecordingReader;

  constructor(reader: RecordingReader) {
    this.#reader = reader;
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
    return new Date(this.#reader.meta.createdAt * 1_000);
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
    return this.#reader.summary?.events ?? 0;
  }

  async *events({
    from = 0,
    to = Number.POSITIVE_INFINITY,
    player,
    type,
  }: EventFilter = {}): AsyncGenerator<TapeEvent> {
    const clock = this.#clock();
    const start = this.#blockAt(clock, (time) => time < from);
    let index = this.#reader.blocks.slice(0, start).reduce((sum, block) => sum + block.events, 0);
    for await (const { entry, body, context } of this.#reader.steps(start)) {
      const { event } = body;
      if (!event) continue;
      if (!this.#reader.summary) clock.observe(entry.time, context.player, event);
      const time = secondsOf(entry, clock);
      if (time >= to) return;
      const at = index++;
      if (time < from || (player ?? context.player) !== context.player || (type ?? event.type) !== event.type) continue;
      yield {
        index: at,
        seq: entry.seq,
        time,
        player: context.player,
        type: event.type,
        data: event.data,
        get state() {
          return context.state.toJson();
        },
      };
    }
  }

  async statesAt(time: number): Promise<Map<string, State>> {
    const clock = this.#clock();
    const states = new Map<string, LiveState>();
    const isDue = (entry: TimelineEntry) => secondsOf(entry, clock) <= time;
    for await (const block of this.#reader.replayBlocks(this.#blockAt(clock, (start) => start <= time))) {
      // A player's later instance, still empty here, must not hide the state of the one before.
      for (const { player, state } of block.contexts.values()) if (state.size > 0) states.set(player, state);
      let due = 0;
      for (const { entry, body, context } of block.steps(isDue)) {
        if (body.event && !this.#reader.summary) clock.observe(entry.time, context.player, body.event);
        states.set(context.player, context.state);
        due++;
      }
      if (due < block.content.entries.length) break;
    }
    const known = [...states].filter(([, state]) => state.size > 0);
    return new Map(known.map(([player, state]) => [player, state.toJson()]));
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

  /** Knows every pause of a finished recording; of an unfinished one it has to be told them as they pass. */
  #clock(): PlayClock {
    return this.#reader.summary ? this.#reader.playClock() : new PlayClock();
  }

  /** The last block whose first play time, in seconds, may come first; the first of all in an unfinished file. */
  #blockAt(clock: PlayClock, mayComeFirst: (seconds: number) => boolean): number {
    if (!this.#reader.summary) return 0;
    let at = 0;
    for (const [index, { firstTime }] of this.#reader.blocks.entries()) {
      if (!mayComeFirst(toSeconds(clock.playTime(firstTime)))) break;
      at = index;
    }
    return at;
  }
}

function secondsOf({ time, exact }: TimelineEntry, clock: PlayClock): number {
  return exact ?? toSeconds(clock.playTime(time));
}
