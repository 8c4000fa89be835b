import { GametapeError, type ProducerRecord } from '@gametape/shared';
import type { MergeInput, MergePlace } from './merge-input.ts';

const MICROSECONDS = 1_000_000;

/** How recordings that are no parts of one another come together: by when they were made, or all from their start. */
export type MergeAlign = 'created' | 'start';

export interface MergePlan {
  /** In an order that does not depend on that of the arguments. */
  readonly inputs: readonly MergeInput[];
  readonly places: readonly MergePlace[];
  readonly producers: readonly ProducerRecord[];
  /** All are parts of one recording: what they number is numbered alike. */
  readonly isOne: boolean;
  /** Seconds since 1970 at room time 0. */
  readonly createdAt: number;
}

/** Says where everything goes. @throws GametapeError `LIMIT_EXCEEDED` for recordings that lie too far apart */
export function planMerge(unordered: readonly MergeInput[], align: MergeAlign): MergePlan {
  const inputs = [...unordered].sort(compareInputs);
  const roots = new Map<string, MergeInput[]>();
  for (const input of inputs) {
    const { recordingId } = input.root;
    roots.set(recordingId, [...(roots.get(recordingId) ?? []), input]);
  }
  const bases = new Map([...roots].map(([id, parts]) => [id, baseOf(parts, align)]));
  const startOf = (input: MergeInput) => (bases.get(input.root.recordingId) as number) + input.root.from;
  const zero = Math.min(...inputs.map(startOf));
  const producers = new Producers(roots.size === 1);
  const places = inputs.map((input): MergePlace => {
    const offset = startOf(input) - zero;
    if (!Number.isSafeInteger(offset * 4)) {
      throw new GametapeError(
        'LIMIT_EXCEEDED',
        `${input.name}: it was made ${offset / MICROSECONDS} s after the first one`,
        {
          hint: 'Add --align start to have all of them begin together.',
        },
      );
    }
    const [first = input] = roots.get(input.root.recordingId) ?? [];
    const playOffset = startOf(first) - zero + input.root.playFrom - first.root.playFrom;
    return { offset, playOffset, producers: producers.add(input) };
  });
  const [first] = inputs;
  const createdAt = first ? first.reader.meta.createdAt - (places[0]?.offset ?? 0) / MICROSECONDS : 0;
  return { inputs, places, producers: producers.list, isOne: roots.size === 1, createdAt };
}

/** Room time 0 of the whole recording that these are parts of, in microseconds since 1970 or since the common start. */
function baseOf(parts: readonly MergeInput[], align: MergeAlign): number {
  if (align === 'start') return -Math.min(...parts.map(({ root }) => root.from));
  return Math.min(...parts.map(({ reader, root }) => Math.round(reader.meta.createdAt * MICROSECONDS) - root.from));
}

function compareInputs(a: MergeInput, b: MergeInput): number {
  const [one, other] = [a.reader.meta, b.reader.meta];
  return (
    one.createdAt - other.createdAt ||
    compareTexts(a.root.recordingId, b.root.recordingId) ||
    a.root.from - b.root.from ||
    compareTexts(one.recordingId, other.recordingId)
  );
}

function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Gives the producers of all inputs indexes of their own. */
class Producers {
  readonly list: ProducerRecord[] = [];
  readonly #isOne: boolean;
  /** By root and index, and by player and instance. */
  readonly #known = new Map<string, ProducerRecord>();

  constructor(isOne: boolean) {
    this.#isOne = isOne;
  }

  add(input: MergeInput): Map<number, ProducerRecord> {
    const all = [...input.reader.producers.values()].sort((a, b) => a.index - b.index);
    return new Map(all.map((producer) => [producer.index, this.#place(input, producer)]));
  }

  #place({ root, firstPseqs }: MergeInput, producer: ProducerRecord): ProducerRecord {
    const { index, player, instance } = producer;
    const ofRoot = JSON.stringify([root.recordingId, index]);
    const identity = JSON.stringify([player, instance]);
    // One that starts over in another recording is another, whatever it is called.
    const goesOn = (firstPseqs.get(index) ?? 0) > 0;
    const known = this.#known.get(ofRoot) ?? (goesOn && !this.#isOne ? this.#known.get(identity) : undefined);
    if (known) return known;
    const count = this.list.filter((other) => other.player === player && other.instance.startsWith(instance)).length;
    const isTaken = this.#known.has(identity);
    const placed = {
      index: this.#isOne ? index : this.list.length,
      player,
      instance: isTaken ? `${instance}~${count + 1}` : instance,
    };
    this.list.push(placed);
    this.#known.set(ofRoot, placed);
    this.#known.set(identity, placed);
    return placed;
  }
}
