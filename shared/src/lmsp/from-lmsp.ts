import { GametapeError } from '../errors.ts';
import { isId } from '../limits.ts';
import { JSON_PROFILE, LMSP_PROFILE, type ProfileName } from '../profile/profile.ts';
import type { ByteSink, Compression } from '../recording/byte-io.ts';
import type { PlayerSummary, RecordingSummary } from '../recording/records.ts';
import { isJsonObject, type Json } from '../values/json.ts';
import { JsonSplitter, type RawPart, type SplitOptions } from './json-splitter.ts';
import { parseJsonText } from './json-text.ts';
import { parseAnyRecordedEvent, parseRecordedEvent, parseRecordingFields } from './parse.ts';
import { RecordingImporter } from './recording-importer.ts';
import type { RecordedEvent, Recording, RecordingFields } from './schema.ts';

/** A member of the top level, or an item of `events` with its number and the byte where it starts. */
export type LmspJsonPart =
  | { readonly kind: 'field'; readonly name: string; readonly value: Json }
  | { readonly kind: 'event'; readonly index: number; readonly offset: number; readonly value: Json };

export interface ImportOptions {
  readonly recordingId: string;
  /** @default the file's own `room`, else "import" */
  readonly room?: string;
  /** @default the file's own `profile`, else "lmsp" */
  readonly profile?: ProfileName;
  readonly compression?: Compression;
}

/**
 * The parts of the seed's JSON in the order they come, in memory for one of them: any order of keys, any white space. Chunks
 * are borrowed while they are read. Nothing is validated beyond JSON itself.
 *
 * @throws GametapeError `BAD_RECORDING` naming the byte and the event or field; `LIMIT_EXCEEDED` for a part over 64 MiB.
 */
export async function* readLmspJson(
  chunks: Bytes,
  options: SplitOptions = { events: true },
): AsyncGenerator<LmspJsonPart> {
  const splitter = new JsonSplitter(options);
  for await (const chunk of chunks) for (const part of splitter.push(chunk)) yield parsePart(part);
  splitter.end();
}

/** The top level without its events, which are only counted. @throws GametapeError as `readLmspJson`, `BAD_RECORDING` */
export async function readLmspFields(chunks: Bytes): Promise<{ fields: RecordingFields; eventCount: number }> {
  const splitter = new JsonSplitter({ events: false });
  const fields = new Map<string, Json>();
  for await (const chunk of chunks) {
    for (const part of splitter.push(chunk)) fields.set(part.key, parseJsonText(part.bytes, placeOf(part)));
  }
  splitter.end();
  return { fields: checkFields(fields, splitter), eventCount: splitter.events };
}

/** The whole recording in memory, validated (L4): the seed's `Recording.from_dict`. */
export async function readLmspRecording(chunks: Bytes): Promise<Recording> {
  const splitter = new JsonSplitter();
  const fields = new Map<string, Json>();
  const events: RecordedEvent[] = [];
  for await (const chunk of chunks) {
    for (const part of splitter.push(chunk)) {
      const { value } = parsePart(part);
      if (part.kind === 'field') fields.set(part.key, value);
      else events.push(parseRecordedEvent(value, placeOf(part).where));
    }
  }
  splitter.end();
  return { ...checkFields(fields, splitter), events };
}

/**
 * Writes what the seed's JSON holds as a recording, in memory that does not grow with it (L2, R6). `open` is called twice: once
 * for the top level, which may come last, and once for the events. Every event is validated (L4); where the profile is
 * "json", type and state may be of any shape (L5). Everything at the top but `events` is kept for writing it again.
 *
 * @throws GametapeError `BAD_RECORDING`, `BAD_EVENT`, `BAD_STATE`, `LIMIT_EXCEEDED`, naming the event and the field.
 */
export async function importLmsp(open: () => Bytes, sink: ByteSink, options: ImportOptions): Promise<RecordingSummary> {
  const { fields } = await readLmspFields(open());
  return importEvents(fields, lmspJsonEvents(open()), sink, options);
}

/** An event as its file has it, not validated yet. */
export interface RawEvent {
  readonly index: number;
  /** What errors call it, such as "event 3 at byte 88". */
  readonly where: string;
  readonly value: unknown;
}

/** `importLmsp` for a source of any form: validates every event (L4) and writes the recording, one event in memory at a time. */
export async function importEvents(
  fields: RecordingFields,
  events: AsyncIterable<RawEvent>,
  sink: ByteSink,
  options: ImportOptions,
): Promise<RecordingSummary> {
  const { checkpoints, ...lmsp } = fields;
  const profile = options.profile ?? (fields.profile === JSON_PROFILE.name ? JSON_PROFILE.name : LMSP_PROFILE.name);
  const room = options.room ?? (isId(fields.room) ? fields.room : 'import');
  const { recordingId, compression } = options;
  const meta = { recordingId, room, profile, createdAt: fields.created_at, lmsp };
  const importer = new RecordingImporter(sink, meta, compression);
  const names = namesByEvent(checkpoints);
  const parse = profile === JSON_PROFILE.name ? parseAnyRecordedEvent : parseRecordedEvent;
  for await (const { index, where, value } of events) {
    const { timestamp, event, game_state: state } = parse(value, where);
    const { type, player_id: player, data } = event;
    await importer.add({ timestamp, player, event: { type, data }, state, checkpoints: names.get(index) });
  }
  return importer.finish({ durationS: fields.duration, players: readPlayers(fields.players) });
}

/** The list of `PlayerSummary` in what this library wrote; empty where there is none. */
export function readPlayers(value: Json | undefined): PlayerSummary[] {
  if (!Array.isArray(value)) return [];
  return (value as readonly Json[]).filter((player) => {
    if (!isJsonObject(player)) return false;
    const { id, expected, received, gaps } = player;
    const counts = [received, expected === null ? 0 : expected];
    return typeof id === 'string' && counts.every(Number.isSafeInteger) && Array.isArray(gaps) && gaps.every(isGap);
  }) as unknown as PlayerSummary[];
}

type Bytes = AsyncIterable<Uint8Array>;

async function* lmspJsonEvents(chunks: Bytes): AsyncGenerator<RawEvent> {
  for await (const part of readLmspJson(chunks)) {
    if (part.kind === 'field') continue;
    const { index, offset, value } = part;
    yield { index, where: `event ${index} at byte ${offset}`, value };
  }
}

function isGap(value: Json): boolean {
  return Array.isArray(value) && value.length === 2 && value.every((pseq) => Number.isSafeInteger(pseq) && pseq >= 0);
}

function parsePart(part: RawPart): LmspJsonPart {
  const value = parseJsonText(part.bytes, placeOf(part));
  if (part.kind === 'field') return { kind: 'field', name: part.key, value };
  return { kind: 'event', index: part.index, offset: part.offset, value };
}

function placeOf({ kind, key, index, offset, colons }: RawPart): { where: string; colons: number } {
  const name = kind === 'event' ? `event ${index}` : `recording.${key}`;
  return { where: `${name} at byte ${offset}`, colons };
}

function checkFields(fields: ReadonlyMap<string, Json>, splitter: JsonSplitter): RecordingFields {
  if (fields.has('events')) throw noEvents(fields.get('events'));
  if (!splitter.hasEvents) throw noEvents(undefined);
  return parseRecordingFields(Object.fromEntries(fields), splitter.events);
}

function noEvents(found: Json | undefined): GametapeError {
  const shown = found === undefined ? 'nothing' : JSON.stringify(found).slice(0, 60);
  return new GametapeError('BAD_RECORDING', `recording.events: expected an array, found ${shown}`);
}

function namesByEvent(checkpoints: Readonly<Record<string, number>>): Map<number, string[]> {
  const names = new Map<number, string[]>();
  for (const [name, index] of Object.entries(checkpoints)) {
    const here = names.get(index);
    if (here) here.push(name);
    else names.set(index, [name]);
  }
  return names;
}
