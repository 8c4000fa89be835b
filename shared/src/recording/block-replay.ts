import { ProducerContext } from '../body/producer-context.ts';
import type { Crc32 } from '../bytes/crc32.ts';
import { GametapeError } from '../errors.ts';
import type { Body, TimelineEntry } from '../event.ts';
import type { BlockHeader } from './block.ts';
import type { EventBlock, StartingPoint } from './block-reader.ts';
import type { RecordingIdentity } from './recording-identity.ts';

/** One step of a replay: an entry, what it says, and its producer after it. */
export interface TimelineStep {
  readonly entry: TimelineEntry;
  readonly body: Body;
  /** Changes with the next step: take what you need of it. */
  readonly context: ProducerContext;
}

export interface BlockReplayOptions {
  readonly index: number;
  readonly content: EventBlock;
  /** The producers as the blocks before left them. */
  readonly contexts: Map<number, ProducerContext>;
  readonly identity: RecordingIdentity;
  readonly crc32: Crc32;
}

/** A block about to be replayed. */
export class BlockReplay {
  readonly index: number;
  readonly content: EventBlock;
  /** At first as the block's keyframes say; each step moves one of them on. */
  readonly contexts: Map<number, ProducerContext>;
  readonly #identity: RecordingIdentity;
  readonly #crc32: Crc32;

  constructor({ index, content, contexts, identity, crc32 }: BlockReplayOptions) {
    this.index = index;
    this.content = content;
    this.contexts = contexts;
    this.#identity = identity;
    this.#crc32 = crc32;
    for (const keyframe of content.keyframes()) contexts.set(keyframe.index, keyframe);
  }

  get header(): BlockHeader {
    return this.content.header;
  }

  /** Up to the first entry that is not due, which is left as it is. @throws GametapeError `DAMAGED` or `BAD_DELTA`. */
  *steps(isDue: (entry: TimelineEntry) => boolean = () => true): Generator<TimelineStep> {
    for (const entry of this.content.rows) {
      if (!isDue(entry)) return;
      const context = this.contextOf(entry);
      yield { entry, body: context.advance(entry, 'DAMAGED', this.#crc32), context };
    }
  }

  /** The producer of an entry, for those who go through `content.rows` by themselves. @throws GametapeError `DAMAGED` */
  contextOf(entry: TimelineEntry): ProducerContext {
    const known = this.contexts.get(entry.producer);
    if (known) return known;
    const context = newContext(this.#identity, entry);
    this.contexts.set(context.index, context);
    return context;
  }
}

/**
 * Every producer as it is before entry `end` of a block, without replaying what a later keyframe spares. In the order of
 * their last entries: of several producers of one player, the last one has the player's state.
 *
 * @throws GametapeError `DAMAGED` or `BAD_DELTA`
 */
export function contextsBefore(
  end: number,
  { content, identity, crc32 }: Pick<BlockReplayOptions, 'content' | 'identity' | 'crc32'>,
): Map<number, ProducerContext> {
  const places = new Map<number, ReplayPlace>();
  for (const { context, entry } of content.startingPoints(end)) places.set(context.index, { context, entry, last: -1 });
  const { rows } = content;
  for (let at = 0; at < end; at++) {
    const producer = rows.producerAt(at);
    let place = places.get(producer);
    if (!place) {
      place = { context: newContext(identity, rows.at(at)), entry: 0, last: -1 };
      places.set(producer, place);
    }
    place.last = at;
    if (at >= place.entry) place.context.advance(rows.at(at), 'DAMAGED', crc32);
  }
  const ordered = [...places].sort(([, one], [, other]) => one.last - other.last);
  return new Map(ordered.map(([producer, { context }]) => [producer, context]));
}

/** A producer, the entry that its replay starts from, and its last entry so far. */
interface ReplayPlace extends StartingPoint {
  last: number;
}

function newContext(identity: RecordingIdentity, { producer, seq }: TimelineEntry): ProducerContext {
  const known = identity.producers.get(producer);
  if (!known) throw new GametapeError('DAMAGED', `event ${seq}: undeclared producer ${producer}`);
  return new ProducerContext(identity.profile, known);
}
