import { ERROR_HINTS, GametapeError } from '@gametape/shared';
import { type Context, Hono } from 'hono';
import type { RoomDirectory } from '../room/room-directory.ts';

/** The past of live rooms, in blocks that any cache may keep (V1; PROTOCOL.md, "Watching"). */
export function pastRoutes(directory: RoomDirectory): Hono {
  const past = new Hono();
  past.get('/rooms/:room/sync', async (context) => {
    const name = context.req.param('room');
    const live = directory.pastOf(name);
    if (!live) return noneLive(context, name, directory.lastRecordingOf(name));
    const { etag, json } = await live.room.sync.answer(afterOf(context));
    const headers = { etag, 'cache-control': 'max-age=1' };
    if (context.req.header('if-none-match') === etag) return context.body(null, 304, headers);
    return context.body(json, 200, { ...headers, 'content-type': 'application/json' });
  });
  past.get('/recordings/:id/fragments/:name', async (context) => {
    const { id, name } = context.req.param();
    const live = directory.withRecording(id);
    if (!live) throw new GametapeError('NOT_FOUND', `recording ${id.slice(0, 80)}: its room is not live`);
    const bytes = await live.room.audience.fragments.read(name);
    return context.body(bytes as Uint8Array<ArrayBuffer>, 200, {
      'cache-control': 'public, max-age=31536000, immutable',
      'content-type': 'application/octet-stream',
    });
  });
  return past;
}

/** Whoever was here goes on with the finished recording. */
function noneLive(context: Context, name: string, recordingId: string | undefined): Response {
  const room = `room ${JSON.stringify(name.slice(0, 80))}`;
  if (recordingId === undefined) throw new GametapeError('NOT_FOUND', `${room}: nobody plays there`);
  const code = 'ROOM_ENDED';
  const error = { code, message: `${room}: it is over`, hint: ERROR_HINTS[code], recordingId };
  return context.json({ error }, 404);
}

function afterOf(context: Context): number {
  const text = context.req.query('after') ?? '0';
  const after = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(after)) return after;
  throw new GametapeError('BAD_MESSAGE', `${context.req.path}: after: expected a seq`);
}
