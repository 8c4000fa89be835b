import {
  type ByteSink,
  type Compression,
  compareEntries,
  GametapeError,
  type GapRecord,
  type JsonObject,
  ProducerContext,
  type RecordingMeta,
  type RecordingSummary,
  RecordingWriter,
  type TimelineEntry,
} from '@gametape/shared';
import { copyContext } from './copy-context.ts';
import { outcomeFrom, outcomeOf } from './derived-meta.ts';
import { GapQueue } from './gap-queue.ts';
import type { MergeInput, MergeItem, MergePlace } from './merge-input.ts';
import type { MergePlan } from './merge-plan.ts';
import { PlayerCounts } from './player-counts.ts';

interface Head {
  readonly input: MergeInput;
  readonly place: MergePlace;
  readonly items: AsyncGenerator<MergeItem>;
  readonly gaps: GapQueue;
  readonly names: ReadonlyMap<number, ReadonlySet<string>>;
  /** Last numbers of its producers as it has them. */
  readonly pseqs: Map<number, number>;
  item: MergeItem | undefined;
}

/** Writes the entries of several recordings in the order of one timeline, each once. */
export class MergedCopy {
  readonly #plan: MergePlan;
  readonly #writer: RecordingWriter;
  readonly #compression: Compression;
  /** Every producer as the merged recording has it so far. */
  readonly #contexts = new Map<number, ProducerContext>();
  readonly #counts = new PlayerCounts();
  readonly #gaps = new Set<string>();
  readonly #unknown = new Set<string>();
  readonly #losses: string[] = [];
  readonly #checkpoints = new Set<string>();
  /** The entry that was written last, as it is now and as its recording has it. */
  #last: { readonly written: TimelineEntry; readonly own: TimelineEntry; readonly root: string } | undefined;
  #seq = 0;
  #events = 0;
  #repeated = 0;

  constructor(
    plan: MergePlan,
    sink: ByteSink,
    { meta, compression }: { meta: RecordingMeta; compression: Compression },
  ) {
    this.#plan = plan;
    this.#compression = compression;
    this.#writer = new RecordingWriter(sink, meta, { compression });
  }

  async write(): Promise<{ summary: RecordingSummary; repeated: number; losses: readonly string[] }> {
    const { inputs, places } = this.#plan;
    for (const producer of [...this.#plan.producers].sort((a, b) => a.index - b.index))
      this.#writer.addProducer(producer);
    const heads = await Promise.all(inputs.map((input, at) => openHead(input, places[at] as MergePlace)));
    for (let head = earliest(heads); head?.item; head = earliest(heads)) {
      await this.#leap(head, head.item);
      if (head.item.entry) await this.#place(head, head.item.entry);
      for (const { type, bytes } of head.item.unknown) this.#addUnknown({ type, bytes }, 'block');
      head.item = (await head.items.next()).value as MergeItem | undefined;
    }
    for (const head of heads) {
      for (const gap of head.gaps.rest()) this.#addGap(head, gap);
      for (const record of head.input.reader.unknown) this.#addUnknown(record, 'index');
    }
    const summary = await this.#finish();
    return { summary, repeated: this.#repeated, losses: this.#losses };
  }

  /** Producers of an input that do not go on from its own entries: they go on from those of the others, or there is a gap. */
  async #leap(head: Head, { leaps, clock }: MergeItem): Promise<void> {
    const resumed: ProducerContext[] = [];
    const missing: GapRecord[] = [];
    for (const leap of leaps) {
      head.pseqs.set(leap.index, leap.pseq);
      const known = this.#contexts.get(leap.index);
      if (known && known.pseq > leap.pseq) continue;
      const isSame = known && known.pseq === leap.pseq && this.#hash(known) === this.#hash(leap);
      if (isSame && hasSameWords(known, leap)) continue;
      if (known && !isSame) missing.push(gapBetween(known, leap));
      this.#contexts.set(leap.index, copyContext(leap, leap.vocabulary.profile));
      resumed.push(leap);
    }
    if (resumed.length > 0) {
      const { offset, playOffset } = head.place;
      const at = clock && this.#plan.isOne ? moved(clock, offset, offset - playOffset) : undefined;
      await this.#writer.resume(resumed, at);
    }
    for (const gap of missing) {
      const isStated = head.input
        .gaps(head.place)
        .some((own) => own.producer === gap.producer && own.lastPseq === gap.lastPseq);
      if (isStated) continue;
      this.#writeGap(gap);
      const events = gap.lastPseq - gap.firstPseq + 1;
      const what = events > 0 ? `events ${gap.firstPseq} to ${gap.lastPseq}` : 'what the relay recorded';
      this.#losses.push(
        `${what} of player ${this.#playerOf(gap.producer)} before ${head.input.name} begins: none of the recordings has that`,
      );
    }
  }

  async #place(head: Head, entry: TimelineEntry): Promise<void> {
    const { producer, pseq } = entry;
    if (this.#last && this.#isRepeated(head, entry)) {
      this.#repeated++;
      this.#stateGaps(head, entry);
      this.#nameCheckpoints(head, entry, this.#last.written);
      return;
    }
    const context = this.#contexts.get(producer) ?? this.#newContext(producer);
    if (entry.stamp !== null && pseq <= context.pseq) {
      throw different(head, entry, `its number ${pseq} comes at another time in another recording`);
    }
    this.#stateGaps(head, entry);
    const written = this.#plan.isOne ? entry : { ...entry, seq: ++this.#seq };
    const { event } = await this.#writer.add(written);
    context.advance(written, 'DAMAGED', this.#compression.crc32);
    if (event) this.#events++;
    this.#counts.add(context.player, written);
    this.#last = { written, own: entry, root: head.input.root.recordingId };
    this.#nameCheckpoints(head, entry, written);
  }

  /** The same entry of another input comes right before or after. */
  #isRepeated(head: Head, entry: TimelineEntry): boolean {
    const last = this.#last;
    if (!last || last.own.producer !== entry.producer || (last.own.stamp === null) !== (entry.stamp === null))
      return false;
    const isOther =
      entry.stamp === null
        ? last.root !== head.input.root.recordingId || compareEntries(last.own, entry) !== 0
        : last.own.pseq !== entry.pseq;
    if (isOther) return false;
    const isSame =
      last.own.time === entry.time &&
      last.own.stamp === entry.stamp &&
      last.own.exact === entry.exact &&
      Buffer.compare(last.own.body, entry.body) === 0;
    if (isSame) return true;
    throw different(head, entry, 'it is not the same in all of the recordings');
  }

  #nameCheckpoints(head: Head, own: TimelineEntry, written: TimelineEntry): void {
    for (const name of head.names.get(own.seq) ?? []) {
      const place = `${written.seq} ${name}`;
      if (this.#checkpoints.has(place)) continue;
      this.#checkpoints.add(place);
      this.#writer.addCheckpoint(name, written, Math.max(0, this.#events - 1));
    }
  }

  /** A gap that another recording has filled is none. */
  #stateGaps(head: Head, entry: TimelineEntry): void {
    for (const gap of head.gaps.passedBy(entry)) this.#addGap(head, gap);
    if (entry.stamp !== null) head.pseqs.set(entry.producer, entry.pseq);
  }

  #addGap(head: Head, gap: GapRecord): void {
    const isOpenHere = gap.lastPseq > (head.pseqs.get(gap.producer) ?? 0);
    const isFilled = gap.lastPseq <= (this.#contexts.get(gap.producer)?.pseq ?? 0);
    if (isOpenHere && isFilled) return;
    this.#writeGap(gap, head);
  }

  #writeGap(gap: GapRecord, head?: Head): void {
    const place = `${gap.producer} ${gap.firstPseq} ${gap.lastPseq}`;
    if (this.#gaps.has(place)) return;
    this.#gaps.add(place);
    this.#writer.addGap(gap);
    const player = this.#playerOf(gap.producer);
    if (!head || head.input.timeline.tailOf(player).countsGaps)
      this.#counts.miss(player, gap.lastPseq - gap.firstPseq + 1);
  }

  #addUnknown(record: { type: number; bytes: Uint8Array }, of: 'block' | 'index'): void {
    const place = `${of} ${record.type} ${Buffer.from(record.bytes).toString('base64')}`;
    if (this.#unknown.has(place)) return;
    this.#unknown.add(place);
    this.#writer.addUnknown(record, of);
  }

  async #finish(): Promise<RecordingSummary> {
    const { inputs, places } = this.#plan;
    const ends = inputs.map(({ timeline }, at) => timeline.endedAt + (places[at]?.offset ?? 0));
    this.#countTails();
    const outcome = this.#outcome(ends);
    return await this.#writer.finish({
      endedAt: Math.max(...ends, this.#last?.written.time ?? 0),
      expected: this.#counts.expected(),
      ...(outcome && { outcome }),
    });
  }

  /** What parts of one recording say to be missing at its end is the same, and counts once. */
  #countTails(): void {
    const tails = new Map<string, Map<string, number | null>>();
    for (const { root, timeline, reader } of this.#plan.inputs) {
      const ofRoot = tails.get(root.recordingId) ?? new Map<string, number | null>();
      tails.set(root.recordingId, ofRoot);
      for (const player of new Set([...reader.producers.values()].map((producer) => producer.player))) {
        const { missing } = timeline.tailOf(player);
        const before = ofRoot.get(player);
        const isUnknown = missing === null || before === null;
        ofRoot.set(player, isUnknown ? null : Math.max(missing, before ?? 0));
      }
    }
    for (const ofRoot of tails.values()) for (const [player, missing] of ofRoot) this.#counts.miss(player, missing);
  }

  /** That of whichever ends last. */
  #outcome(ends: readonly number[]): JsonObject | undefined {
    const { inputs, places } = this.#plan;
    const order = [...inputs.keys()].sort((a, b) => (ends[b] as number) - (ends[a] as number) || b - a);
    for (const at of order) {
      const outcome = outcomeOf((inputs[at] as MergeInput).reader);
      if (outcome) return outcomeFrom(outcome, -(places[at] as MergePlace).playOffset);
    }
    return undefined;
  }

  #newContext(index: number): ProducerContext {
    const producer = this.#plan.producers.find((known) => known.index === index);
    const [input] = this.#plan.inputs;
    if (!producer || !input) throw new GametapeError('DAMAGED', `undeclared producer ${index}`);
    const context = new ProducerContext(input.timeline.profile, producer);
    this.#contexts.set(index, context);
    return context;
  }

  #playerOf(index: number): string {
    return this.#plan.producers.find((producer) => producer.index === index)?.player ?? String(index);
  }

  #hash({ state }: ProducerContext): number {
    return state.hash(this.#compression.crc32);
  }
}

async function openHead(input: MergeInput, place: MergePlace): Promise<Head> {
  const items = input.items(place);
  const gaps = new GapQueue(input.gaps(place));
  const item = (await items.next()).value as MergeItem | undefined;
  return { input, place, items, gaps, names: input.timeline.checkpointNames(), pseqs: new Map(), item };
}

/** The head whose item comes first; of the same place, the input that comes first. */
function earliest(heads: readonly Head[]): Head | undefined {
  let first: Head | undefined;
  for (const head of heads) if (head.item && (!first?.item || compareItems(head.item, first.item) < 0)) first = head;
  return first;
}

function compareItems(a: MergeItem, b: MergeItem): number {
  if (a.entry && b.entry) return compareEntries(a.entry, b.entry);
  return a.time - b.time || (a.entry ? 1 : 0) - (b.entry ? 1 : 0);
}

function gapBetween(known: ProducerContext, { index, pseq }: ProducerContext): GapRecord {
  return { producer: index, firstPseq: known.pseq + 1, lastPseq: pseq, reason: 'not in any of the merged recordings' };
}

function hasSameWords({ vocabulary: one }: ProducerContext, { vocabulary: other }: ProducerContext): boolean {
  const words = ({ learnedTemplates, learnedNames }: typeof one) => JSON.stringify([learnedTemplates, learnedNames]);
  return words(one) === words(other);
}

function moved(
  { time, pausedUs, paused }: NonNullable<MergeItem['clock']>,
  offset: number,
  pausedBefore: number,
): NonNullable<MergeItem['clock']> {
  const since = paused && { paused: { since: paused.since + offset, players: paused.players } };
  return { time: time + offset, pausedUs: pausedUs + pausedBefore, ...since };
}

function different({ input }: Head, { pseq, time }: TimelineEntry, why: string): GametapeError {
  const what = pseq > 0 ? `event number ${pseq}` : 'an event that the relay made';
  return new GametapeError(
    'DAMAGED',
    `${input.name}: ${what} at ${time / 1_000_000} s of the merged recording: ${why}`,
    {
      hint: 'They are not copies or parts of the same recording any more: merge only one of them.',
    },
  );
}
