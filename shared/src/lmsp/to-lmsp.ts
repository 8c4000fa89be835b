import { EventType } from '../event.ts';
import type { RecordingReader } from '../recording/recording-reader.ts';
import type { PlayerSummary, RecordingMeta } from '../recording/records.ts';
import type { Json, JsonObject } from '../values/json.ts';
import { type LmspEvent, lmspEvents } from './lmsp-events.ts';

export interface LmspJsonOptions {
  /** Spaces per level, as the seed's `export_json` has 2; 0 for one line, as its `save_compressed` has. @default 0 */
  readonly indent?: number;
}

type Fields = readonly (readonly [name: string, value: Json])[];

const VERSION = '1.0.0';

/**
 * A recording as the seed's canonical JSON (L2), in pieces of text whose memory does not grow with it (R6). What is known from
 * the index comes before `events`, what only the events tell comes after. An imported recording has the top level that it
 * came with, and what of the seed's a cut or a merge took away anew; any other has `recording_id`, `room`, `profile`, `complete` and `players` besides the seed's.
 */
export async function* lmspJson(reader: RecordingReader, { indent = 0 }: LmspJsonOptions = {}): AsyncGenerator<string> {
  const layout = new Layout(indent);
  const told = new ToldByEvents(reader);
  const fields = knownFields(reader);
  yield '{';
  for (const [name, value] of fields) yield `${layout.member(name, value)},`;
  yield layout.opening('events');
  for await (const event of lmspEvents(reader)) {
    told.observe(event);
    yield `${event.index > 0 ? ',' : ''}${layout.item(event)}`;
  }
  yield layout.closing();
  for (const [name, value] of told.fields()) yield `,${layout.member(name, value)}`;
  yield layout.end();
}

function knownFields(reader: RecordingReader): Fields {
  const { meta, summary } = reader;
  const checkpoints: Fields = summary ? [['checkpoints', checkpointsOf(reader)]] : [];
  const seeds: Fields = [
    ['version', VERSION],
    ['player_id', summary?.players[0]?.id ?? [...reader.producers.values()][0]?.player ?? ''],
    ['created_at', meta.createdAt],
  ];
  const duration: Fields = summary ? [['duration', summary.durationUs / 1_000_000]] : [];
  const marks = marksOf(meta);
  if (meta.lmsp) {
    const markNames = new Set(['events', 'checkpoints', ...marks.map(([name]) => name)]);
    const own = Object.entries(meta.lmsp).filter(([name]) => !markNames.has(name));
    return [...own, ...without(meta.lmsp, [...seeds, ...duration]), ...marks, ...checkpoints];
  }
  const fields: Fields = [
    ...seeds,
    ['recording_id', meta.recordingId],
    ['room', meta.room],
    ['profile', meta.profile],
    ...marks,
    ['complete', summary?.complete ?? false],
    ...checkpoints,
  ];
  if (!summary) return fields;
  return [...fields, ...duration, ['players', summary.players.map(playerJson)]];
}

/** Where a recording comes from and what was removed from it goes along in any format. */
function marksOf({ source, redacted }: RecordingMeta): Fields {
  const marks: Fields = [
    ['source', (source ?? null) as Json],
    ['redacted', (redacted ?? null) as Json],
  ];
  return marks.filter(([, value]) => value !== null);
}

function without(known: JsonObject, fields: Fields): Fields {
  return fields.filter(([name]) => !Object.hasOwn(known, name));
}

function checkpointsOf(reader: RecordingReader, indexes?: ReadonlyMap<number, number>): JsonObject {
  const entries = reader.checkpoints.map(({ name, seq, eventIndex }) => [name, indexes?.get(seq) ?? eventIndex]);
  return Object.fromEntries(entries) as JsonObject;
}

function playerJson({ id, events, expected, received, gaps }: PlayerSummary): JsonObject {
  return { id, events, expected, received, gaps: gaps.map(([first, last]) => [first, last]) };
}

/** What the top level says that is only known once the events have passed. */
class ToldByEvents {
  readonly #reader: RecordingReader;
  readonly #checkpointSeqs: ReadonlySet<number>;
  readonly #indexes = new Map<number, number>();
  readonly #counts = new Map<string, number>();
  #startedId: string | undefined;
  #stateId = '';
  #completed: LmspEvent | undefined;
  #lastTimestamp = 0;

  constructor(reader: RecordingReader) {
    this.#reader = reader;
    this.#checkpointSeqs = new Set(reader.checkpoints.map(({ seq }) => seq));
  }

  observe(event: LmspEvent): void {
    const { type, player_id: player, data } = event.event;
    if (type === EventType.CHALLENGE_START) this.#startedId ??= textOf(data.challenge_id);
    else if (type === EventType.CHALLENGE_COMPLETE) this.#completed = event;
    if (this.#stateId === '') this.#stateId = textOf(event.game_state.challenge_id) ?? '';
    if (this.#checkpointSeqs.has(event.seq)) this.#indexes.set(event.seq, event.index);
    this.#counts.set(player, (this.#counts.get(player) ?? 0) + 1);
    this.#lastTimestamp = Math.max(this.#lastTimestamp, event.timestamp);
  }

  fields(): Fields {
    const { meta, summary } = this.#reader;
    const checkpoints = ['checkpoints', checkpointsOf(this.#reader, this.#indexes)] as const;
    const outcome: Fields = [['challenge_id', this.#startedId ?? this.#stateId], ...Object.entries(this.#outcome())];
    if (meta.lmsp) {
      if (summary) return without(meta.lmsp, outcome);
      return [...without(meta.lmsp, [...outcome, ['duration', this.#lastTimestamp]]), checkpoints];
    }
    if (summary) return outcome;
    const players = [...this.#counts].map(
      ([id, events]): JsonObject => ({ id, events, expected: null, received: events, gaps: [] }),
    );
    return [...outcome, checkpoints, ['duration', this.#lastTimestamp], ['players', players]];
  }

  /** What `session.end` said, else the last CHALLENGE_COMPLETE, else the seed's defaults (L2). */
  #outcome(): JsonObject {
    const said = this.#reader.summary?.outcome ?? {};
    const data = this.#completed?.event.data ?? {};
    const code = textOf(data.final_code) ?? textOf(this.#completed?.game_state.current_code);
    return {
      success: flagOf(said.success) ?? flagOf(data.success) ?? this.#completed !== undefined,
      final_code: textOf(said.final_code) ?? code ?? '',
      final_time: numberOf(said.final_time) ?? numberOf(data.final_time) ?? this.#completed?.timestamp ?? 0,
    };
  }
}

function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function flagOf(value: Json | undefined): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined;
}

function numberOf(value: Json | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** JSON text in pieces, laid out as `JSON.stringify` would the whole. */
class Layout {
  readonly #indent: number;
  readonly #colon: string;

  constructor(indent: number) {
    this.#indent = indent;
    this.#colon = indent > 0 ? ': ' : ':';
  }

  member(name: string, value: Json): string {
    return `${this.#line(1)}${JSON.stringify(name)}${this.#colon}${this.#value(value, 1)}`;
  }

  opening(name: string): string {
    return `${this.#line(1)}${JSON.stringify(name)}${this.#colon}[`;
  }

  item({ timestamp, event, game_state }: LmspEvent): string {
    return `${this.#line(2)}${this.#value({ timestamp, event, game_state }, 2)}`;
  }

  closing(): string {
    return `${this.#line(1)}]`;
  }

  end(): string {
    return `${this.#line(0)}}`;
  }

  #line(depth: number): string {
    return this.#indent > 0 ? `\n${' '.repeat(this.#indent * depth)}` : '';
  }

  /** Line breaks inside texts are escaped: those that are found separate lines. */
  #value(value: Json, depth: number): string {
    const text = JSON.stringify(value, null, this.#indent);
    return this.#indent > 0 ? text.replaceAll('\n', this.#line(depth)) : text;
  }
}
