import {
  compareEntries,
  type GapRecord,
  type ProducerContext,
  type ProducerRecord,
  type RecordingReader,
  type TimelineEntry,
  type UnknownRecord,
} from '@gametape/shared';
import { copyContext } from './copy-context.ts';
import { rootOf } from './derived-meta.ts';
import { RecordingTimeline, type TimelineRun } from './recording-timeline.ts';
import { secondsAfter } from './shift-seconds.ts';

/** Where a recording comes in a merged one, and what its producers are called there. Microseconds. */
export interface MergePlace {
  readonly offset: number;
  readonly playOffset: number;
  /** Indexes in the merged recording by those of its own. */
  readonly producers: ReadonlyMap<number, ProducerRecord>;
}

/** One entry as the merged recording has it, and what comes right before it; at the end of a recording there is no entry. */
export interface MergeItem {
  readonly time: number;
  readonly leaps: readonly ProducerContext[];
  readonly clock: TimelineRun['clock'];
  readonly unknown: readonly UnknownRecord[];
  readonly entry: TimelineEntry | undefined;
}

/** A recording that is to be merged with others. */
export class MergeInput {
  readonly timeline: RecordingTimeline;
  /** The recording that it is a part of, which may be itself, and where in it. */
  readonly root: ReturnType<typeof rootOf>;
  /** Producers that do not start from nothing, by their pseq. */
  readonly firstPseqs: ReadonlyMap<number, number>;

  private constructor(timeline: RecordingTimeline, firstPseqs: ReadonlyMap<number, number>) {
    this.timeline = timeline;
    this.root = rootOf(timeline.reader.meta);
    this.firstPseqs = firstPseqs;
  }

  static async open(reader: RecordingReader): Promise<MergeInput> {
    const timeline = await RecordingTimeline.open(reader);
    for await (const { leaps } of timeline.runs()) {
      return new MergeInput(timeline, new Map(leaps.map(({ index, pseq }) => [index, pseq])));
    }
    return new MergeInput(timeline, new Map());
  }

  get reader(): RecordingReader {
    return this.timeline.reader;
  }

  get name(): string {
    return this.reader.source.name;
  }

  /** What gaps say, by the indexes of the merged recording. */
  gaps({ producers }: MergePlace): readonly GapRecord[] {
    return this.timeline.gaps().flatMap((gap) => {
      const producer = producers.get(gap.producer);
      return producer ? [{ ...gap, producer: producer.index }] : [];
    });
  }

  /** Everything in it, in the order of the merged timeline. */
  async *items(place: MergePlace): AsyncGenerator<MergeItem> {
    let group: TimelineEntry[] = [];
    let before: Omit<MergeItem, 'time' | 'entry'> = NOTHING;
    const take = function* (): Generator<MergeItem> {
      for (const entry of group.sort(compareEntries)) {
        yield { time: entry.time, ...before, entry };
        before = NOTHING;
      }
      group = [];
    };
    for await (const { leaps, clock, unknown, entries } of this.timeline.runs()) {
      if (leaps.length + unknown.length > 0) {
        yield* take();
        const moved = leaps.map((leap) => this.#moved(leap, place));
        const kept = unknown.map(({ type, bytes }) => ({ type, bytes }));
        before = {
          leaps: [...before.leaps, ...moved],
          clock: clock ?? before.clock,
          unknown: [...before.unknown, ...kept],
        };
      }
      for (const entry of entries) {
        const placed = placeEntry(entry, place);
        // Other indexes may order entries of one moment otherwise.
        const [first] = group;
        if (first && (first.time !== placed.time || first.hlc !== placed.hlc)) yield* take();
        group.push(placed);
      }
    }
    yield* take();
    if (before !== NOTHING) yield { time: place.offset, ...before, entry: undefined };
  }

  #moved(leap: ProducerContext, { offset, producers }: MergePlace): ProducerContext {
    const context = copyContext(leap, this.timeline.profile, producers.get(leap.index));
    context.time += offset;
    return context;
  }
}

const NOTHING: Omit<MergeItem, 'time' | 'entry'> = { leaps: [], clock: undefined, unknown: [] };

function placeEntry(entry: TimelineEntry, { offset, playOffset, producers }: MergePlace): TimelineEntry {
  const producer = producers.get(entry.producer)?.index ?? entry.producer;
  const placed = { ...entry, producer, time: entry.time + offset };
  return entry.exact === undefined ? placed : { ...placed, exact: secondsAfter(entry.exact, playOffset) };
}
