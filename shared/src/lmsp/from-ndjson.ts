import * as z from 'zod';
import { GametapeError } from '../errors.ts';
import { isId } from '../limits.ts';
import { JSON_PROFILE, LMSP_PROFILE } from '../profile/profile.ts';
import type { ByteSink } from '../recording/byte-io.ts';
import type { RecordingSummary } from '../recording/records.ts';
import { isJsonObject, type Json, type JsonObject } from '../values/json.ts';
import { type ImportOptions, readPlayers } from './from-lmsp.ts';
import { joined, parseJsonText } from './json-text.ts';
import { type AnyEvent, bad, parse, parseAnyGameEvent, parseGameEvent, parseTimestamp } from './parse.ts';
import { RecordingImporter } from './recording-importer.ts';
import { anyStateSchema, gameStateSchema } from './schema.ts';
import { NDJSON_VERSION } from './to-ndjson.ts';

/** One line. States are whole: what the line says is applied to the player's state before. */
export type NdjsonItem =
  | { readonly kind: 'header'; readonly line: number; readonly header: JsonObject }
  | {
      readonly kind: 'step';
      readonly line: number;
      readonly timestamp: number;
      readonly player: string;
      readonly event?: AnyEvent;
      readonly state: JsonObject;
      readonly checkpoints?: readonly string[];
    }
  | { readonly kind: 'torn'; readonly line: number; readonly offset: number; readonly bytes: number };

export interface NdjsonImport {
  readonly summary: RecordingSummary;
  /** What was left out at the end because its line was cut off, in one readable line. */
  readonly torn?: string;
}

const MAX_LINE_BYTES = 64 * 1024 * 1024;
const NEWLINE = 0x0a;

const namesSchema = z.array(z.string()).optional();
const splice = z.tuple([z.int().min(0), z.int().min(0), z.string()]);
const stateSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('full'), data: anyStateSchema }),
  z.object({
    type: z.literal('delta'),
    set: anyStateSchema.optional(),
    delete: z.array(z.string()).optional(),
    splice: z.record(z.string(), z.array(splice)).optional(),
  }),
]);

/**
 * Reads what `ndjsonLines` wrote, a line in memory at a time. A last line that was cut off is told as `torn`; every other
 * line has to be sound.
 *
 * @throws GametapeError `BAD_RECORDING`, `BAD_EVENT`, `BAD_STATE`, `VERSION_UNKNOWN`, `LIMIT_EXCEEDED`, naming the line.
 */
export async function* readNdjson(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<NdjsonItem> {
  const states = new Map<string, JsonObject>();
  let isLmsp = true;
  for await (const { number, offset, bytes, isWhole } of splitLines(chunks)) {
    const where = `line ${number}`;
    let value: Json;
    try {
      value = parseJsonText(bytes, { where });
    } catch (error) {
      if (isWhole || number === 1) throw error;
      yield { kind: 'torn', line: number, offset, bytes: bytes.length };
      return;
    }
    if (!isJsonObject(value)) throw bad('BAD_RECORDING', where, 'a map', value);
    if (number === 1) {
      const header = parseHeader(value);
      isLmsp = header.profile === LMSP_PROFILE.name;
      yield { kind: 'header', line: number, header };
    } else {
      const step = parseStep(value, { where, states, isLmsp });
      states.set(step.player, step.state);
      yield { kind: 'step', line: number, ...step };
    }
  }
}

/** Writes lines of JSON as a recording. @throws GametapeError as `readNdjson`, `BAD_RECORDING` without a header. */
export async function importNdjson(
  chunks: AsyncIterable<Uint8Array>,
  sink: ByteSink,
  options: ImportOptions,
): Promise<NdjsonImport> {
  let importer: RecordingImporter | undefined;
  let header: JsonObject = {};
  let torn: string | undefined;
  for await (const item of readNdjson(chunks)) {
    if (item.kind === 'header') {
      header = item.header;
      importer = startImport(header, sink, options);
    } else if (item.kind === 'torn') {
      torn = `line ${item.line} at byte ${item.offset} is cut off after ${item.bytes} bytes and was left out`;
    } else {
      const { event, ...step } = item;
      await importer?.add({ ...step, event: event && { type: event.type, data: event.data } });
    }
  }
  if (!importer) throw new GametapeError('BAD_RECORDING', 'line 1: expected a header, found nothing');
  const durationS = typeof header.durationUs === 'number' ? header.durationUs / 1_000_000 : 0;
  const outcome = isJsonObject(header.outcome) ? header.outcome : undefined;
  const isCutOff = torn !== undefined || header.complete === undefined;
  const summary = await importer.finish({ durationS, outcome, players: readPlayers(header.players), isCutOff });
  return { summary, ...(torn !== undefined && { torn }) };
}

function startImport(header: JsonObject, sink: ByteSink, options: ImportOptions): RecordingImporter {
  const { recordingId, compression } = options;
  const lmsp = isJsonObject(header.lmsp) ? { lmsp: header.lmsp } : {};
  const meta = {
    recordingId,
    room: options.room ?? (isId(header.room) ? header.room : 'import'),
    profile: options.profile ?? String(header.profile),
    createdAt: header.createdAt as number,
    ...lmsp,
  };
  return new RecordingImporter(sink, meta, compression);
}

function parseHeader(value: JsonObject): JsonObject {
  const { gametape, profile, createdAt } = value;
  if (gametape === undefined) throw bad('BAD_RECORDING', 'line 1', 'a header with "gametape"', value);
  if (gametape !== NDJSON_VERSION) {
    throw new GametapeError('VERSION_UNKNOWN', `line 1: expected version ${NDJSON_VERSION}, found ${gametape}`);
  }
  if (profile !== LMSP_PROFILE.name && profile !== JSON_PROFILE.name) {
    throw bad('BAD_RECORDING', 'line 1: profile', '"lmsp" or "json"', profile);
  }
  if (typeof createdAt !== 'number') throw bad('BAD_RECORDING', 'line 1: createdAt', 'a number', createdAt);
  return value;
}

interface StepContext {
  readonly where: string;
  readonly states: ReadonlyMap<string, JsonObject>;
  readonly isLmsp: boolean;
}

function parseStep(value: JsonObject, { where, states, isLmsp }: StepContext) {
  const timestamp = parseTimestamp(value.timestamp, where);
  const parseEvent = isLmsp ? parseGameEvent : parseAnyGameEvent;
  const event = value.event === undefined ? undefined : parseEvent(value.event, where);
  const player = event?.player_id ?? value.player_id;
  if (typeof player !== 'string') throw bad('BAD_RECORDING', `${where}: player_id`, 'a text', player);
  const before = states.get(player) ?? {};
  const state = value.state === undefined ? before : applyState(before, value.state, where);
  // A player that has not said anything of a state yet has none.
  const isGameState = isLmsp && Object.keys(state).length > 0;
  const place = { where, path: 'state' };
  const checked = parse(isGameState ? gameStateSchema : anyStateSchema, state, { code: 'BAD_STATE', ...place });
  const names = parse(namesSchema, value.checkpoints, { code: 'BAD_RECORDING', where, path: 'checkpoints' });
  return { timestamp, player, ...(event && { event }), state: checked, ...(names && { checkpoints: names }) };
}

function applyState(before: JsonObject, value: Json, where: string): JsonObject {
  const change = parse(stateSchema, value, { code: 'BAD_RECORDING', where, path: 'state' });
  if (change.type === 'full') return change.data;
  const gone = new Set(change.delete);
  const kept = Object.entries(before).filter(([key]) => !gone.has(key));
  const state: Record<string, Json> = { ...Object.fromEntries(kept), ...change.set };
  for (const [key, edits] of Object.entries(change.splice ?? {})) {
    let text = state[key];
    for (const [index, [at, remove, insert]] of edits.entries()) {
      if (typeof text !== 'string' || at + remove > text.length) {
        const found = typeof text === 'string' ? text.length : text;
        throw bad(
          'BAD_RECORDING',
          `${where}: state.splice.${key}[${index}]`,
          `a text of ${at + remove} or more`,
          found,
        );
      }
      text = text.slice(0, at) + insert + text.slice(at + remove);
    }
    if (text !== undefined) state[key] = text;
  }
  return state;
}

interface Line {
  readonly number: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** False for a last line without its line break. */
  readonly isWhole: boolean;
}

/** The lines that are not empty, numbered from 1. Bytes are borrowed until the next one. */
async function* splitLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let slices: Uint8Array[] = [];
  let length = 0;
  let offset = 0;
  let number = 1;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const bytes = joined([...slices, chunk.subarray(start, end)]);
      if (bytes.length > 0) yield { number, offset, bytes, isWhole: true };
      number++;
      offset += bytes.length + 1;
      start = end + 1;
      slices = [];
      length = 0;
    }
    // Copied: the chunk is only borrowed.
    slices.push(chunk.slice(start));
    length += chunk.length - start;
    if (length > MAX_LINE_BYTES) {
      throw new GametapeError(
        'LIMIT_EXCEEDED',
        `line ${number} at byte ${offset}: longer than ${MAX_LINE_BYTES} bytes`,
      );
    }
  }
  if (length > 0) yield { number, offset, bytes: joined(slices), isWhole: false };
}
