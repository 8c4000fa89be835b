import {
  type ClockRecord,
  type GapRecord,
  PlayClock,
  ProducerContext,
  type Profile,
  profileNamed,
  type RecordingReader,
  type RecordingSummary,
  type TimelineEntry,
  type UnknownRecord,
} from '@gametape/shared';
import { timelineOrder } from './timeline-order.ts';

const MICROSECONDS = 1_000_000;

/** Entries that follow one another, and what came with them. */
export interface TimelineRun {
  /** Producers that do not go on from the entries before: they are as these contexts say. The caller owns them. */
  readonly leaps: readonly ProducerContext[];
  /** Where play time stands after a leap, as far as a block says it. */
  readonly clock?: ClockRecord & { readonly time: number };
  readonly entries: readonly TimelineEntry[];
  /** Records of types that this version does not know. Borrowed from their block. */
  readonly unknown: readonly UnknownRecord[];
}

/** How complete one player's events are at the end of a recording. */
export interface PlayerTail {
  /** Events that are missing after the last one and that no gap states; null when nobody knows. */
  readonly missing: number | null;
  /** What the gaps state is part of what the player is said to have numbered. */
  readonly countsGaps: boolean;
}

/**
 * A recording from its start to its end in the order of the timeline (T3), for what is made from it: also one that was never
 * finished. A block in memory at a time, and those that overlap in one that was never finished (R6).
 */
export class RecordingTimeline {
  readonly reader: RecordingReader;
  /** Knows all pauses. */
  readonly clock: PlayClock;
  /** Room time, in microseconds. */
  readonly endedAt: number;

  /** Play time in seconds: that of the last event where an import says a later one than its pauses leave. */
  readonly endS: number;

  private constructor(
    reader: RecordingReader,
    clock: PlayClock,
    end: { endedAt: number; last: readonly TimelineEntry[] },
  ) {
    this.reader = reader;
    this.clock = clock;
    this.endedAt = end.endedAt;
    this.endS = end.last.reduce(
      (latest, entry) => Math.max(latest, this.shownTime(entry)),
      clock.playTime(this.endedAt) / MICROSECONDS,
    );
  }

  /** One that was never finished is read through: its pauses are in no index. */
  static async open(reader: RecordingReader): Promise<RecordingTimeline> {
    const { summary } = reader;
    if (summary) {
      const block = reader.blocks.length > 0 ? await reader.readBlock(reader.blocks.length - 1) : undefined;
      const end = { endedAt: summary.endedAt, last: block?.content.entries ?? [] };
      return new RecordingTimeline(reader, reader.playClock(), end);
    }
    const clock = new PlayClock();
    const timeline = new RecordingTimeline(reader, clock, { endedAt: 0, last: [] });
    const contexts = new Map<number, ProducerContext>();
    let endedAt = 0;
    let last: readonly TimelineEntry[] = [];
    for await (const { leaps, entries } of timeline.runs()) {
      for (const leap of leaps) contexts.set(leap.index, leap);
      for (const entry of entries) {
        const context = contexts.get(entry.producer) ?? timeline.newContext(entry.producer);
        contexts.set(entry.producer, context);
        const { event } = context.advance(entry, 'DAMAGED');
        if (event) clock.observe(entry.time, context.player, event);
        endedAt = Math.max(endedAt, entry.time);
      }
      last = entries.length > 0 ? entries : last;
    }
    return new RecordingTimeline(reader, new PlayClock(clock.pauses(endedAt)), { endedAt, last });
  }

  get profile(): Profile {
    return profileNamed(this.reader.meta.profile);
  }

  /** Seconds of play time, as every player-facing time shows it (T7). */
  shownTime({ time, exact }: TimelineEntry): number {
    return exact ?? this.clock.playTime(time) / MICROSECONDS;
  }

  /** Names of checkpoints by the seq of their entry. */
  checkpointNames(): Map<number, ReadonlySet<string>> {
    const names = new Map<number, Set<string>>();
    for (const { name, seq } of this.reader.checkpoints) names.set(seq, (names.get(seq) ?? new Set()).add(name));
    return names;
  }

  /** Each once: the blocks of one that was never finished may repeat them. */
  gaps(): readonly GapRecord[] {
    if (this.reader.summary) return this.reader.gaps;
    const gaps = this.reader.gaps.map((gap) => [`${gap.producer} ${gap.firstPseq} ${gap.lastPseq}`, gap] as const);
    return [...new Map(gaps).values()];
  }

  /** What is known of a player's events after the last one that is here. */
  tailOf(player: string): PlayerTail {
    const summary: RecordingSummary | undefined = this.reader.summary;
    const known = summary?.players.find(({ id }) => id === player);
    if (!known || known.expected === null) return { missing: summary && !known ? 0 : null, countsGaps: true };
    const stated = known.gaps.reduce((sum, [first, last]) => sum + last - first + 1, 0);
    const missing = known.expected - known.received;
    return missing >= stated ? { missing: missing - stated, countsGaps: true } : { missing, countsGaps: false };
  }

  newContext(producer: number): ProducerContext {
    const record = this.reader.producers.get(producer);
    if (!record) throw new TypeError(`producer ${producer} is not declared`);
    return new ProducerContext(this.profile, record);
  }

  async *runs(): AsyncGenerator<TimelineRun> {
    const leaps = new LeapFinder(this.reader.gaps);
    if (this.reader.summary) {
      for (const index of this.reader.blocks.keys()) {
        const { content } = await this.reader.readBlock(index);
        const { header, clock = { pausedUs: 0 }, entries, unknown } = content;
        const at = index > 0 ? { clock: { ...clock, time: header.firstTime } } : undefined;
        yield { leaps: leaps.find(content.keyframes()), ...at, entries, unknown };
        leaps.pass(content.entries);
      }
      return;
    }
    let waiting: { leaps: ProducerContext[]; unknown: UnknownRecord[] } = { leaps: [], unknown: [] };
    const runs = timelineOrder(withoutRepeated(this.reader), async ({ index }, isAgain) => {
      const { content } = await this.reader.readBlock(index);
      if (isAgain) return content.entries;
      waiting.leaps.push(...leaps.findFirst(content.keyframes()));
      waiting.unknown.push(...content.unknown);
      leaps.pass(content.entries);
      return content.entries;
    });
    for await (const entries of runs) {
      const come = waiting;
      waiting = { leaps: [], unknown: [] };
      yield { ...come, entries };
    }
    if (waiting.leaps.length + waiting.unknown.length > 0) yield { ...waiting, entries: [] };
  }
}

/** Tells keyframes that repeat what the entries before lead to from those that start somewhere else. */
class LeapFinder {
  readonly #pseqs = new Map<number, number>();
  readonly #gaps: readonly GapRecord[];

  constructor(gaps: readonly GapRecord[]) {
    // A gap of no events: what is missing there was made by the relay.
    this.#gaps = gaps.filter(({ firstPseq, lastPseq }) => lastPseq < firstPseq);
  }

  find(keyframes: readonly ProducerContext[]): ProducerContext[] {
    return keyframes.filter((keyframe) => {
      const { index, pseq } = keyframe;
      const known = this.#pseqs.get(index);
      this.#pseqs.set(index, pseq);
      if (known === undefined) return !isFresh(keyframe);
      return pseq > known || this.#gaps.some(({ producer, lastPseq }) => producer === index && lastPseq === pseq);
    });
  }

  /** Where blocks overlap only the first keyframe of a producer says something new. */
  findFirst(keyframes: readonly ProducerContext[]): ProducerContext[] {
    return this.find(keyframes.filter(({ index }) => !this.#pseqs.has(index)));
  }

  pass(entries: readonly TimelineEntry[]): void {
    for (const { producer, pseq } of entries) {
      if (pseq > 0 || !this.#pseqs.has(producer)) this.#pseqs.set(producer, pseq);
    }
  }
}

function isFresh({ pseq, time, hlc, stamp, state, vocabulary }: ProducerContext): boolean {
  const learned = vocabulary.learnedTemplates.length + vocabulary.learnedNames.length;
  return pseq === 0 && time === 0 && hlc === 0 && stamp === 0 && state.size === 0 && learned === 0;
}

/** A block whose seal was repeated after a crash is there twice. */
function withoutRepeated({ blocks }: RecordingReader): { index: number; firstTime: number }[] {
  const kept: { index: number; firstTime: number }[] = [];
  let lastFirstSeq = 0;
  for (const [index, { entries, firstSeq, firstTime }] of blocks.entries()) {
    if (index > 0 && (entries === 0 || firstSeq <= lastFirstSeq)) continue;
    lastFirstSeq = firstSeq;
    kept.push({ index, firstTime });
  }
  return kept;
}
