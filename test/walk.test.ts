import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type LiveEvent, openRecording, spectate } from '@gametape/client-sdk';
import { startRelay } from '@gametape/server';
import {
  ByteWriter,
  decodeUpMessage,
  type EventsUp,
  encodeBody,
  encodeMessage,
  LMSP_PROFILE,
  Vocabulary,
} from '@gametape/shared';
import { afterAll, beforeAll, expect, test } from 'vitest';

// The newcomer's first read: one keystroke through every stop of the walk in ARCHITECTURE.md.

let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gametape-walk-'));
});

afterAll(async () => {
  await rm(dataDir, { recursive: true, force: true });
});

test('one keystroke goes from the player to the journal, the spectator, the file and the replay', async () => {
  const relay = await startRelay({ port: 0, dataDir, viewer: false });
  const ann = await connect({ url: relay.wsUrl, room: 'walk', player: 'ann' });
  const live = await spectate({ url: relay.wsUrl, room: 'walk' });
  const shown = new Promise<LiveEvent>((resolve) => live.on('event', resolve));

  // session.record → diff → Connection.sendBytes
  ann.record(
    { type: 'keystroke', data: { char: 'd', modifiers: [] } },
    { ...ann.state, current_code: 'd', cursor_position: [0, 1] },
  );

  // encodeMessage → Transport.onMessage → Session.receive → Room.accept → Timeline.place → Journal.append
  await ann.stable();
  expect(ann.status).toMatchObject({ recorded: 1, accepted: 1, stable: 1, lost: 0 });

  // fanOut
  const event = await shown;
  expect(event).toMatchObject({
    player: 'ann',
    type: 'keystroke',
    data: { char: 'd', modifiers: [] },
    epoch: 1,
    seq: 2,
  });
  expect(live.states.get('ann')).toEqual(ann.state);

  // finalize → RecordingWriter
  const summary = await ann.end({ success: true });
  expect(summary).toMatchObject({ complete: true, players: [{ id: 'ann', expected: 1, received: 1, gaps: [] }] });

  // RecordingReader → replay
  const tape = await openRecording(join(dataDir, 'recordings', `${summary.recordingId}.lmsp`));
  const types = [];
  for await (const { type } of tape.events()) types.push(type);
  expect(types).toEqual(['player_join', 'keystroke', 'player_leave']);
  expect(await tape.stateAt(tape.duration, 'ann')).toMatchObject({ current_code: 'd', cursor_position: [0, 1] });
  await tape.close();
  await relay.close();
});

test('[W7] the body of that keystroke is the one of DELTA.md, and its message the one of PROTOCOL.md', () => {
  const writer = new ByteWriter();
  encodeBody(
    writer,
    new Vocabulary(LMSP_PROFILE),
    {
      event: { type: 'keystroke', data: { char: 'd', modifiers: [] } },
      change: {
        form: 'delta',
        ops: [
          { op: 'splice', key: 'current_code', at: 2, remove: 0, insert: 'd' },
          { op: 'add', key: 'cursor_position', by: [0, 1] },
        ],
      },
    },
    { editEnd: (key) => (key === 'current_code' ? 2 : 0), learn: true },
  );
  const body = writer.take();
  expect(Buffer.from(body).toString('hex')).toBe('09a1649040a10002');
  const message: EventsUp = { kind: 'events-up', firstPseq: 1, events: [{ stampDelta: 300_000, body }] };
  const bytes = encodeMessage(message);
  expect(Buffer.from(bytes).toString('hex')).toBe('4101e05d09a1649040a10002');
  expect(decodeUpMessage(bytes)).toEqual(message);
});
