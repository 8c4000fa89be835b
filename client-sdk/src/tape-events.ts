import {
  type BlockReplay,
  type Compression,
  type EntryPlace,
  hasEvent,
  type JsonObject,
  type PlayClock,
  type ProducerContext,
  type State,
} from '@gametape/shared';
import type { EventFilter, TapeEvent } from './api.ts';
import { toSeconds } from './producer.ts';

export interface TapeEventsOptions {
  readonly filter: EventFilter;
  readonly blocks: AsyncGenerator<BlockReplay>;
  /** Number of the first event of the first block. */
  readonly index: number;
  readonly clock: PlayClock;
  readonly compression: Compression;
}

/**
 * The events of some blocks, one at a time. Within a block `next` has its answer at once: an async generator would take as
 * long to hand an event over as everything else takes to read it. Calls that wait for a block are answered in order.
 */
export class TapeEvents implements AsyncGenerator<TapeEvent, undefined> {
  readonly #from: number;
  readonly #to: number;
  readonly #player: string | undefined;
  readonly #type: string | undefined;
  readonly #blocks: AsyncGenerator<BlockReplay>;
  readonly #clock: PlayClock;
  readonly #compression: Compression;
  #index: number;
  #block: BlockReplay | undefined;
  #at = 0;
  #isOver = false;
  /** The last call that waits for a block. */
  #waiting: Promise<unknown> | undefined;

  constructor({ filter, blocks, index, clock, compression }: TapeEventsOptions) {
    this.#from = filter.from ?? 0;
    this.#to = filter.to ?? Number.POSITIVE_INFINITY;
    this.#player = filter.player;
    this.#type = filter.type;
    this.#blocks = blocks;
    this.#index = index;
    this.#clock = clock;
    this.#compression = compression;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<TapeEvent, undefined>> {
    if (this.#waiting) return this.#inTurn(() => this.#nextOfBlocks());
    try {
      const value = this.#nextOfBlock();
      if (value) return Promise.resolve({ done: false, value });
    } catch (error) {
      return this.#inTurn(() => this.#fail(error));
    }
    return this.#inTurn(() => this.#nextOfBlocks());
  }

  return(): Promise<IteratorResult<TapeEvent, undefined>> {
    return this.#inTurn(() => this.#end());
  }

  throw(error: unknown): Promise<IteratorResult<TapeEvent, undefined>> {
    return this.#inTurn(() => this.#fail(error));
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#waiting ? this.#waiting.then(work, work) : work();
    this.#waiting = turn;
    const done = () => {
      if (this.#waiting === turn) this.#waiting = undefined;
    };
    turn.then(done, done);
    return turn;
  }

  async #nextOfBlocks(): Promise<IteratorResult<TapeEvent, undefined>> {
    try {
      while (!this.#isOver) {
        const value = this.#nextOfBlock();
        if (value) return { done: false, value };
        if (this.#isOver) break;
        const { done, value: block } = await this.#blocks.next();
        if (done) break;
        this.#block = block;
        this.#at = 0;
      }
    } catch (error) {
      return await this.#fail(error);
    }
    return await this.#end();
  }

  async #end(): Promise<IteratorReturnResult<undefined>> {
    this.#isOver = true;
    this.#block = undefined;
    await this.#blocks.return(undefined);
    return { done: true, value: undefined };
  }

  async #fail(error: unknown): Promise<never> {
    await this.#end();
    throw error;
  }

  /** Undefined when the block holds no more, or the events asked for are over. */
  #nextOfBlock(): TapeEvent | undefined {
    const block = this.#block;
    if (block === undefined) return undefined;
    const { rows } = block.content;
    while (this.#at < rows.length) {
      const entry = rows.at(this.#at++);
      const context = block.contextOf(entry);
      const isOther = this.#player !== undefined && this.#player !== context.player;
      // Nobody can see what another player's entry says.
      if (isOther) {
        if (!hasEvent(entry.body)) continue;
        if (!this.#isBeforeEnd(entry)) return undefined;
        this.#index++;
        continue;
      }
      const event = context.skim(entry, 'DAMAGED', this.#compression.crc32);
      if (!event) continue;
      if (!this.#isBeforeEnd(entry)) return undefined;
      const index = this.#index++;
      if (this.#type !== undefined && this.#type !== event.type) continue;
      const time = secondsOf(entry, this.#clock);
      if (time >= this.#from) return new ReadEvent(index, entry.seq, time, event.type, event.data, context);
    }
    return undefined;
  }

  #isBeforeEnd(entry: EntryPlace): boolean {
    if (this.#to === Number.POSITIVE_INFINITY || secondsOf(entry, this.#clock) < this.#to) return true;
    this.#isOver = true;
    return false;
  }
}

/** The state is made when it is asked for: a getter of the class costs nothing until then. */
class ReadEvent implements TapeEvent {
  readonly index: number;
  readonly seq: number;
  readonly time: number;
  readonly player: string;
  readonly type: string;
  readonly data: JsonObject;
  readonly #context: ProducerContext;

  constructor(index: number, seq: number, time: number, type: string, data: JsonObject, context: ProducerContext) {
    this.index = index;
    this.seq = seq;
    this.time = time;
    this.player = context.player;
    this.type = type;
    this.data = data;
    this.#context = context;
  }

  get state(): State {
    return this.#context.state.toJson();
  }
}

export function secondsOf({ time, exact }: EntryPlace, clock: PlayClock): number {
  return exact ?? toSeconds(clock.playTime(time));
}
