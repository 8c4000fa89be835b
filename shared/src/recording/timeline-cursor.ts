import { ProducerContext } from '../body/producer-context.ts';
import type { Crc32 } from '../bytes/crc32.ts';
import { GametapeError } from '../errors.ts';
import type { EntryPlace } from './block-entries.ts';
import type { EventBlock } from './block-reader.ts';
import type { TimelineStep } from './block-replay.ts';
import type { RecordingIdentity } from './recording-identity.ts';

export interface TimelineCursorOptions {
  readonly block: number;
  readonly content: EventBlock;
  /** How many entries of the block have passed. */
  readonly passed: number;
  /** Every producer as they left it, those with the latest entries last. */
  readonly contexts: Map<number, ProducerContext>;
  readonly identity: RecordingIdentity;
  readonly crc32: Crc32;
  /** Undefined where there is no such block, or not yet. */
  readonly load: (block: number) => Promise<EventBlock> | undefined;
}

/**
 * A point between two entries of a recording, with every producer as it is there: to go on from where a seek ended (V3).
 * It holds one block, and asks for the next one halfway through it.
 */
export class TimelineCursor {
  #contexts: Map<number, ProducerContext>;
  #block: number;
  #content: EventBlock;
  #at: number;
  #next: Promise<EventBlock> | undefined;
  readonly #identity: RecordingIdentity;
  readonly #crc32: Crc32;
  readonly #load: TimelineCursorOptions['load'];

  constructor({ block, content, passed, contexts, identity, crc32, load }: TimelineCursorOptions) {
    this.#block = block;
    this.#content = content;
    this.#at = passed;
    this.#contexts = contexts;
    this.#identity = identity;
    this.#crc32 = crc32;
    this.#load = load;
  }

  /** Every producer, those with the latest entries last: of several of one player, the last with a state has the player's. */
  get contexts(): ReadonlyMap<number, ProducerContext> {
    return this.#contexts;
  }

  /** Where the next entry stands, undefined at the end. A promise where its block has to be read first. @throws GametapeError `DAMAGED` */
  peek(): EntryPlace | undefined | Promise<EntryPlace | undefined> {
    if (this.#at < this.#content.rows.length) return this.#content.rows.placeAt(this.#at);
    const next = this.#loadNext();
    return next && this.#enter(next, this.#block).then(() => this.peek());
  }

  /** Passes the entry that `peek` has told of. @throws GametapeError `DAMAGED` or `BAD_DELTA` */
  step(): TimelineStep {
    const entry = this.#content.rows.at(this.#at);
    const context = this.#contexts.get(entry.producer) ?? this.#newContext(entry.producer, entry.seq);
    const body = context.advance(entry, 'DAMAGED', this.#crc32);
    this.#contexts.delete(context.index);
    this.#contexts.set(context.index, context);
    this.#at++;
    // What plays on must not wait at the end of each block. A load that fails is tried again there.
    if (this.#at * 2 >= this.#content.rows.length) this.#loadNext()?.catch(() => {});
    return { entry, body, context };
  }

  #loadNext(): Promise<EventBlock> | undefined {
    if (this.#next) return this.#next;
    const next = this.#load(this.#block + 1);
    this.#next = next;
    next?.catch(() => {
      this.#next = undefined;
    });
    return next;
  }

  async #enter(next: Promise<EventBlock>, before: number): Promise<void> {
    const content = await next;
    // Whoever peeked meanwhile has entered it already.
    if (this.#block !== before) return;
    this.#next = undefined;
    this.#block++;
    this.#content = content;
    this.#at = 0;
    // As a seek into this block would find them.
    if (content.header.selfContained) this.#contexts = new Map();
    for (const keyframe of content.keyframes()) this.#contexts.set(keyframe.index, keyframe);
  }

  #newContext(producer: number, seq: number): ProducerContext {
    const known = this.#identity.producers.get(producer);
    if (!known) throw new GametapeError('DAMAGED', `event ${seq}: undeclared producer ${producer}`);
    return new ProducerContext(this.#identity.profile, known);
  }
}
