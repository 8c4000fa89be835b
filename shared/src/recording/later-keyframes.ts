import type { ProducerContext } from '../body/producer-context.ts';
import type { TimelineEntry } from '../event.ts';
import { type KeyframeReference, referenceTo } from './later-keyframe.ts';

/** A seek replays about this many entries at most, whatever the block holds. */
const EVERY_ENTRIES = 512;
/** A producer with fewer entries than this since its last keyframe is replayed from there: that costs less than another. */
const WORTH_ENTRIES = 64;
/** What a keyframe may take for each entry it spares. Pasted texts would be in the file a second time: rustcode grew by 23 %. */
const BYTES_PER_ENTRY = 2;
/** The same for a producer that joined in this block: its keyframe has no state to write a patch against, so the next is whole. */
const BYTES_PER_ENTRY_ONCE = 20;

/** A producer's last keyframe in the block that is open, and what it has had since. */
interface Since {
  readonly reference: KeyframeReference;
  entries: number;
}

/** A keyframe that is due, and the one that it is written against. */
export interface DueKeyframe {
  readonly context: ProducerContext;
  readonly before: KeyframeReference;
  /** The keyframe does not pay if it is longer. */
  readonly maxBytes: number;
}

/** Decides where inside a block keyframes pay: by what replaying to that point would cost. */
export class LaterKeyframes {
  readonly #since = new Map<number, Since>();
  #entries = 0;

  /** A new block opens. */
  clear(): void {
    this.#since.clear();
    this.#entries = 0;
  }

  /** A producer gets a keyframe, as it is now. */
  opened(context: ProducerContext): void {
    this.#since.set(context.index, { reference: referenceTo(context), entries: 0 });
  }

  added({ producer }: TimelineEntry): void {
    this.#entries++;
    const since = this.#since.get(producer);
    if (since) since.entries++;
  }

  /** Whether it is time to look for keyframes that pay. */
  get isDue(): boolean {
    return this.#entries >= EVERY_ENTRIES;
  }

  /** Those to write before the next entry. Say `opened` of each that was written. */
  *takeDue(contexts: ReadonlyMap<number, ProducerContext>): Generator<DueKeyframe> {
    this.#entries = 0;
    for (const [producer, { reference, entries }] of [...this.#since]) {
      const context = contexts.get(producer);
      if (!context || entries < WORTH_ENTRIES) continue;
      const isFirst = reference.entries.length === 0;
      yield { context, before: reference, maxBytes: entries * (isFirst ? BYTES_PER_ENTRY_ONCE : BYTES_PER_ENTRY) };
    }
  }
}
