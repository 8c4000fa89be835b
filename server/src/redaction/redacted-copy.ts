import {
  type ByteSink,
  type Compression,
  GametapeError,
  type Json,
  type JsonObject,
  type ProducerContext,
  type ProducerRecord,
  type RecordingMeta,
  RecordingWriter,
} from '@gametape/shared';
import { latestLast } from '../recording/copy-context.ts';
import { sourceOf } from '../recording/derived-meta.ts';
import { GapQueue } from '../recording/gap-queue.ts';
import type { RecordingTimeline, TimelineRun } from '../recording/recording-timeline.ts';
import { EventRedactor } from './event-redactor.ts';
import type { RedactOptions, RedactResult } from './redact-recording.ts';
import type { Redaction } from './redaction.ts';
import { RedactionWalk, type WalkedEntry } from './redaction-walk.ts';
import { StateRedactor } from './state-redactor.ts';

/** What an import says at its top that no player has written. */
const UNWRITTEN: ReadonlySet<string> = new Set([
  'version',
  'player_id',
  'challenge_id',
  'room',
  'profile',
  'players',
  'source',
  'redacted',
]);

interface CopyOptions extends RedactOptions {
  readonly redaction: Redaction;
  readonly compression: Compression;
}

/** The second pass of a redaction: writes the recording again without what has to go. */
export class RedactedCopy {
  readonly #timeline: RecordingTimeline;
  readonly #options: CopyOptions;
  readonly #writer: RecordingWriter;
  readonly #walk: RedactionWalk;
  readonly #gaps: GapQueue;
  readonly #names: ReadonlyMap<number, ReadonlySet<string>>;
  readonly #states = new Map<number, StateRedactor>();
  readonly #events = new Map<string, EventRedactor>();
  #eventCount = 0;
  #unknown = 0;

  constructor(timeline: RecordingTimeline, sink: ByteSink, options: CopyOptions) {
    const { redaction, compression } = options;
    this.#timeline = timeline;
    this.#options = options;
    this.#writer = new RecordingWriter(sink, this.#meta(), { compression });
    this.#walk = new RedactionWalk(timeline, { marks: redaction.marks, matcher: undefined, crc32: compression.crc32 });
    this.#gaps = new GapQueue(timeline.gaps());
    this.#names = timeline.checkpointNames();
  }

  async write(): Promise<RedactResult> {
    const { reader, endedAt } = this.#timeline;
    for (const producer of reader.producers.values()) {
      this.#states.set(producer.index, this.#newState(producer));
      this.#writer.addProducer(this.#renamed(producer));
    }
    await this.#walk.run({
      leap: (contexts, clock) => this.#leap(contexts, clock),
      entry: (walked) => this.#entry(walked),
      unknown: (records) => {
        this.#unknown += records.length;
      },
    });
    for (const gap of this.#gaps.rest()) this.#addGap(gap);
    const outcome = reader.summary?.outcome;
    const summary = await this.#writer.finish({
      endedAt,
      expected: this.#expected(),
      ...(outcome && { outcome: this.#written(outcome) }),
    });
    return { summary, characters: this.#options.redaction.marks.marked.size, losses: this.#losses() };
  }

  async #leap(contexts: readonly ProducerContext[], clock: TimelineRun['clock']): Promise<void> {
    const copies = contexts.map((context) => this.#stateOf(context.index).leap(context));
    await this.#writer.resume(latestLast(copies, new Map(copies.map(({ player, index }) => [player, index]))), clock);
  }

  async #entry({ entry, body, context, inserted }: WalkedEntry): Promise<void> {
    for (const gap of this.#gaps.passedBy(entry)) this.#addGap(gap);
    const { player } = context;
    const event = body.event && this.#eventsOf(player).redact(body.event, this.#walk.events(player), inserted);
    const bytes = this.#stateOf(entry.producer).encode(entry, { ...body, ...(event && { event }) }, context, inserted);
    await this.#writer.add({ ...entry, body: bytes });
    if (event) this.#eventCount++;
    for (const name of this.#names.get(entry.seq) ?? []) {
      this.#writer.addCheckpoint(this.#options.redaction.words.string(name), entry, Math.max(0, this.#eventCount - 1));
    }
  }

  #addGap(gap: Parameters<RecordingWriter['addGap']>[0]): void {
    this.#writer.addGap({ ...gap, reason: this.#options.redaction.words.text(gap.reason) });
  }

  #newState(producer: ProducerRecord): StateRedactor {
    const { redaction, compression } = this.#options;
    const trail = this.#walk.state(producer.index);
    const renamed = this.#renamed(producer);
    return new StateRedactor(redaction, {
      producer: renamed,
      player: producer.player,
      trail,
      crc32: compression.crc32,
    });
  }

  #stateOf(producer: number): StateRedactor {
    const state = this.#states.get(producer);
    if (state) return state;
    throw new GametapeError('DAMAGED', `${this.#timeline.reader.source.name}: undeclared producer ${producer}`);
  }

  #eventsOf(player: string): EventRedactor {
    const events = this.#events.get(player) ?? new EventRedactor(this.#options.redaction, player);
    this.#events.set(player, events);
    return events;
  }

  #renamed({ index, player, instance }: ProducerRecord): ProducerRecord {
    const { words } = this.#options.redaction;
    return { index, player: words.id(player), instance: words.id(instance) };
  }

  #expected(): Map<string, number | null> {
    const { reader } = this.#timeline;
    const { words } = this.#options.redaction;
    if (reader.summary) return new Map(reader.summary.players.map(({ id, expected }) => [words.id(id), expected]));
    return new Map([...reader.producers.values()].map(({ player }) => [words.id(player), null]));
  }

  #meta(): RecordingMeta {
    const { reader, endedAt } = this.#timeline;
    const { redaction, recordingId, at, player, name, text, patterns } = this.#options;
    const { words } = redaction;
    const { room, profile, createdAt, lmsp, redacted = [] } = reader.meta;
    const about = player === undefined ? {} : { player: words.id(player) };
    const hasPatterns = patterns !== undefined && patterns.literals.length + patterns.expressions.length > 0;
    return {
      recordingId,
      room: words.id(room),
      profile,
      createdAt,
      ...(lmsp && { lmsp: this.#topLevel(lmsp) }),
      source: [sourceOf('redact', reader.meta, { from: 0, to: endedAt, playFrom: 0 })],
      redacted: [
        ...redacted.map((mark) => (mark.player === undefined ? mark : { ...mark, player: words.id(mark.player) })),
        ...(name === undefined ? [] : [{ what: 'name' as const, ...about, at }]),
        ...(text ? [{ what: 'text' as const, ...about, at }] : []),
        ...(hasPatterns ? [{ what: 'match' as const, at }] : []),
      ],
    };
  }

  /** Nobody knows whose text the top level of an import has. */
  #topLevel(lmsp: JsonObject): JsonObject {
    const { redaction } = this.#options;
    const kept = Object.entries(lmsp).filter(([key]) => key !== 'recording_id');
    const entries = kept.map(([key, value]): [string, Json] => {
      const isWritten = redaction.owner !== undefined && !UNWRITTEN.has(key);
      return [TOP_KEYS.has(key) ? key : redaction.words.key(key), redaction.values.value(value, { isOwn: isWritten })];
    });
    return Object.fromEntries(entries);
  }

  #written(outcome: JsonObject): JsonObject {
    const { values, owner, words } = this.#options.redaction;
    const isOwn = owner !== undefined;
    return Object.fromEntries(
      Object.entries(outcome).map(([key, value]) => [
        TOP_KEYS.has(key) ? key : words.key(key),
        values.value(value, { isOwn }),
      ]),
    );
  }

  #losses(): string[] {
    const { meta, unknown, source } = this.#timeline.reader;
    const others = Object.keys(meta).filter((key) => !META_KEYS.has(key)).length;
    const records = this.#unknown + unknown.length + others;
    if (records === 0) return [];
    return [
      `${source.name}: ${records} records of types that this version does not know were left out: they cannot be looked through`,
    ];
  }
}

const META_KEYS: ReadonlySet<string> = new Set([
  'recordingId',
  'room',
  'profile',
  'createdAt',
  'lmsp',
  'source',
  'redacted',
]);
const TOP_KEYS: ReadonlySet<string> = new Set([
  ...UNWRITTEN,
  'created_at',
  'duration',
  'success',
  'final_code',
  'final_time',
  'complete',
]);
