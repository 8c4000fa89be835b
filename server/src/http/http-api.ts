import { ERROR_HINTS, type ErrorCode, GametapeError, isGametapeError, isId } from '@gametape/shared';
import { type Context, Hono } from 'hono';
import { cors } from 'hono/cors';
import type { Journal } from '../journal/journal.ts';
import type { Embargo } from '../recording/embargo.ts';
import type { RecordingStore } from '../recording/recording-store.ts';
import type { LiveRoom } from '../room/live-room.ts';
import type { RoomDirectory } from '../room/room-directory.ts';
import { describeRoom } from './describe-room.ts';
import { pastRoutes } from './past-routes.ts';
import { roomCommands, roomStarts } from './room-commands.ts';

/** Listing reads one index a recording: more than this are asked for by id. */
const MAX_LISTED = 500;

/** What is not listed is a fault of the relay, or of what it has stored. */
const STATUS: Partial<Record<ErrorCode, 400 | 403 | 404 | 409 | 410 | 413 | 503>> = {
  BAD_ID: 400,
  BAD_MESSAGE: 400,
  BAD_EVENT: 400,
  NOT_ALLOWED: 403,
  NOT_FOUND: 404,
  NAME_TAKEN: 409,
  ROOM_ENDED: 410,
  LIMIT_EXCEEDED: 413,
  ROOM_FULL: 503,
  ROOM_ELSEWHERE: 503,
  ROOM_QUARANTINED: 503,
  JOURNAL_FAILED: 503,
};

export interface HttpApiOptions {
  readonly directory: RoomDirectory;
  readonly store: RecordingStore;
  readonly journal: Journal;
  /** Recordings that are not there yet for anybody who asks (V2). */
  readonly embargo: Pick<Embargo, 'holds'>;
}

/** The routes under `/v1` and the health checks. Errors are `{error: {code, message, hint}}`. */
export function httpApi({ directory, store, journal, embargo }: HttpApiOptions): Hono {
  const api = new Hono();
  api.use('*', cors());
  api.get('/livez', (context) => context.text('ok'));
  api.get('/readyz', (context) => readiness(context, directory, journal));
  api.get('/v1/rooms', (context) => context.json({ rooms: directory.shownRooms.map(describeRoom) }));
  api.route('/v1/rooms', roomStarts(directory));
  api.get('/v1/rooms/:room', (context) => {
    const name = context.req.param('room');
    return context.json(describeRoom(directory.shownRoom(name) ?? nobodyPlays(name)));
  });
  api.route('/v1', pastRoutes(directory));
  api.route(
    '/v1/rooms/:room',
    roomCommands((context) => liveRoom(directory, context.req.param('room') ?? '')),
  );
  api.get('/v1/recordings', async (context) => {
    const newest = [...(await store.list())].reverse().slice(0, MAX_LISTED);
    const isHeld = await Promise.all(newest.map((id) => embargo.holds(id)));
    const due = newest.filter((_, index) => !isHeld[index]);
    const recordings = await Promise.all(due.map((id) => listed(store, id)));
    return context.json({ recordings });
  });
  api.get('/v1/recordings/:id', async (context) => {
    const id = context.req.param('id');
    const isThere = isId(id) && (await store.find(id)) !== undefined && !(await embargo.holds(id));
    if (isId(id) && !isThere) throw new GametapeError('NOT_FOUND', `recording ${id}: there is none`);
    return context.json({ ...(await store.info(id)), id, path: await store.find(id) });
  });
  api.notFound((context) => fail(context, new GametapeError('NOT_FOUND', `${context.req.path}: no such page`)));
  api.onError((error, context) => fail(context, error));
  return api;
}

function liveRoom(directory: RoomDirectory, name: string): LiveRoom {
  return directory.room(name) ?? nobodyPlays(name);
}

function nobodyPlays(name: string): never {
  throw new GametapeError('NOT_FOUND', `room ${JSON.stringify(name)}: nobody plays there`);
}

/** Red while something cannot be recorded: new sessions belong elsewhere, those that are here go on as far as they can (J5). */
function readiness(context: Context, directory: RoomDirectory, journal: Journal): Response {
  const troubles = [...directory.troubles()];
  const reason = journal.failed ?? troubles[0]?.error;
  if (!reason) return context.text('ok');
  const rooms = troubles.map(({ room, error }) => ({ room, reason: error.message }));
  return context.json({ code: reason.code, reason: reason.message, rooms }, 503);
}

/** One recording of the list; one that cannot be read says why instead of hiding the others (S4). */
async function listed(store: RecordingStore, id: string): Promise<object> {
  try {
    const { room, createdAt, durationS, complete, events, players, bytes } = await store.info(id);
    return { id, room, createdAt, durationS, complete, events, players: players.map((player) => player.id), bytes };
  } catch (error) {
    if (!isGametapeError(error)) throw error;
    return { id, error: describeError(error) };
  }
}

function fail(context: Context, error: unknown): Response {
  if (isGametapeError(error)) {
    const { code, retryAfterS } = error;
    if (retryAfterS === undefined) return context.json({ error: describeError(error) }, STATUS[code] ?? 500);
    return context.json({ error: describeError(error) }, 429, { 'retry-after': String(retryAfterS) });
  }
  const message = 'the relay has a fault; its log says more';
  return context.json({ error: { code: 'INTERNAL', message, hint: 'Look at the log of the relay.' } }, 500);
}

function describeError({ code, message, hint }: GametapeError): object {
  return { code, message, hint: hint ?? ERROR_HINTS[code] };
}
