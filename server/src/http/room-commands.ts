import { GametapeError, type JsonObject } from '@gametape/shared';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { z } from 'zod';
import { MAX_SPECTATOR_DELAY_MS } from '../options.ts';
import type { LiveRoom } from '../room/live-room.ts';
import type { RoomDirectory } from '../room/room-directory.ts';
import { describeRoom } from './describe-room.ts';

const MAX_BODY_BYTES = 64 * 1024;

const Named = z.strictObject({ name: z.string().min(1).max(256) });
const Nothing = z.strictObject({});
const Start = z
  .strictObject({
    room: z.string().optional(),
    from: z.string().max(400).optional(),
    spectatorDelayS: z
      .number()
      .min(0)
      .max(MAX_SPECTATOR_DELAY_MS / 1_000)
      .optional(),
  })
  .refine(
    ({ room, from, spectatorDelayS }) => from !== undefined || (room !== undefined && spectatorDelayS !== undefined),
    'expected from, or a room and spectatorDelayS',
  );
const Outcome = z.strictObject({ outcome: z.record(z.string(), z.json()).default({}) });

/** What may be asked of a live room (T7, T8, W6). Each answers with the room, but for `end`, which answers with its summary. */
export function roomCommands(roomOf: (context: Context) => LiveRoom): Hono {
  const commands = new Hono();
  commands.use('*', async (context, next) => {
    if (context.req.method === 'POST') refuseOtherSites(context);
    await next();
  });
  commands.use('*', bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLong }));
  commands.post('/checkpoints', async (context) => {
    const { name } = await read(context, Named);
    const live = roomOf(context);
    const { time } = await live.checkpoint(name);
    return context.json({ name, timeS: live.room.recording.playClock.playTime(time) / 1_000_000 }, 201);
  });
  commands.post('/rewind', async (context) => {
    const { name } = await read(context, Named);
    const live = roomOf(context);
    await live.rewind(name);
    return context.json(describeRoom(live));
  });
  for (const [path, isPaused] of [['/pause', true] as const, ['/resume', false] as const]) {
    commands.post(path, async (context) => {
      await read(context, Nothing);
      const live = roomOf(context);
      await live.setPaused(isPaused);
      return context.json(describeRoom(live));
    });
  }
  commands.post('/end', async (context) => {
    const { outcome } = await read(context, Outcome);
    return context.json(await roomOf(context).end(outcome as JsonObject));
  });
  return commands;
}

/** What the next session of a room is begun with: the checkpoint of a finished recording, how much later spectators are shown it. */
export function roomStarts(directory: RoomDirectory): Hono {
  const starts = new Hono();
  starts.post('/', bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLong }), async (context) => {
    refuseOtherSites(context);
    const { room, from, spectatorDelayS } = await read(context, Start);
    const spectatorDelayMs = spectatorDelayS === undefined ? undefined : Math.round(spectatorDelayS * 1_000);
    const name = await directory.prepare({ room, from, spectatorDelayMs });
    return context.json({ room: name, from, spectatorDelayS }, 201);
  });
  return starts;
}

/** The body of a request; none is an empty object. @throws GametapeError `BAD_MESSAGE` saying which field is wrong */
async function read<Schema extends z.ZodType>(context: Context, schema: Schema): Promise<z.output<Schema>> {
  const text = await context.req.text();
  let json: unknown;
  try {
    json = text === '' ? {} : JSON.parse(text);
  } catch (cause) {
    throw new GametapeError('BAD_MESSAGE', `${context.req.path}: the body is not JSON`, { cause });
  }
  const read = schema.safeParse(json);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const where = issue?.path.join('.') || 'the body';
  const hint = 'See README.md, "HTTP".';
  throw new GametapeError('BAD_MESSAGE', `${context.req.path}: ${where}: ${issue?.message}`, { hint });
}

/** A page of another site may read, but not command: nothing tells whom its visitor would be. */
function refuseOtherSites(context: Context): void {
  const origin = context.req.header('origin');
  if (origin === undefined) return;
  if (URL.canParse(origin) && new URL(origin).host === context.req.header('host')) return;
  throw new GametapeError('NOT_ALLOWED', `${context.req.path}: a page of ${origin} may not do this`);
}

function tooLong(context: Context): never {
  // The rest of it is not read: another request on this connection would find it reset.
  context.header('connection', 'close');
  throw new GametapeError('LIMIT_EXCEEDED', `the body of a request is longer than ${MAX_BODY_BYTES} bytes`);
}
