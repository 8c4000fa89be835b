import { type ErrorCode, GametapeError, isJsonObject, type Json, type JsonObject } from '@gametape/shared';

/** A live room, as the relay lists it. */
export interface RoomRow {
  readonly room: string;
  readonly recordingId: string;
  readonly players: readonly { readonly id: string; readonly connected: boolean }[];
  readonly spectators: number;
  readonly events: number;
  readonly durationS: number;
}

/** A recording, as the relay lists it. `createdAt` is what `new Date` takes. */
export interface RecordingRow {
  readonly id: string;
  readonly room: string;
  readonly createdAt: string | number;
  readonly durationS: number;
  readonly complete: boolean;
  readonly events: number;
  readonly players: readonly string[];
  readonly bytes: number;
}

/** @throws GametapeError `UNREACHABLE`, `BAD_MESSAGE`, or what the relay answers. */
export async function fetchRooms(signal?: AbortSignal): Promise<readonly RoomRow[]> {
  return rows<RoomRow>(await fetchJson('/v1/rooms', signal), 'rooms');
}

/** Newest first. @throws GametapeError as `fetchRooms` does. */
export async function fetchRecordings(signal?: AbortSignal): Promise<readonly RecordingRow[]> {
  return rows<RecordingRow>(await fetchJson('/v1/recordings', signal), 'recordings');
}

/** Address of a recording's file, for range requests. */
export function recordingUrl(id: string): string {
  return new URL(`/v1/recordings/${encodeURIComponent(id)}.lmsp`, location.href).href;
}

/** Address of the relay that served this page, for WebSockets. */
export function relayUrl(): string {
  return `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}`;
}

async function fetchJson(path: string, signal?: AbortSignal): Promise<JsonObject> {
  let response: Response;
  try {
    response = await fetch(path, { headers: { accept: 'application/json' }, ...(signal && { signal }) });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new GametapeError('UNREACHABLE', `the relay at ${location.host} does not answer`, { cause });
  }
  const body = (await response.json().catch(() => undefined)) as Json | undefined;
  if (!response.ok) throw refusal(path, response.status, body);
  if (!isJsonObject(body)) throw new GametapeError('BAD_MESSAGE', `${path}: expected JSON, found something else`);
  return body;
}

/** The relay is of the same release as this page: the rows themselves are taken at their word. */
function rows<Row>(body: JsonObject, key: string): readonly Row[] {
  const list = body[key];
  if (!Array.isArray(list)) throw new GametapeError('BAD_MESSAGE', `expected a list of ${key}, found none`);
  return list as unknown as readonly Row[];
}

function refusal(path: string, status: number, body: Json | undefined): GametapeError {
  const error = isJsonObject(body) && isJsonObject(body.error) ? body.error : {};
  const { code, message, hint } = error;
  return new GametapeError(
    typeof code === 'string' ? (code as ErrorCode) : 'BAD_MESSAGE',
    typeof message === 'string' ? message : `${path}: the relay answered with status ${status}`,
    typeof hint === 'string' ? { hint } : undefined,
  );
}
