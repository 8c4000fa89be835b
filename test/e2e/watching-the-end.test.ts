import { connect, type Session } from '@gametape/client-sdk';
import { describe, expect, test } from 'vitest';
import { TestRelay } from '../support/relay.ts';
import { SlowReader } from '../support/slow-reader.ts';
import { Truth, Watcher } from '../support/watched-room.ts';

const LONG = 'x'.repeat(30_000);

describe('who watches when the room ends', () => {
  test('[V1] [W8] one that is behind has the rest from the recording, without a hole', async () => {
    const relay = await TestRelay.start();
    const reader = await SlowReader.start(relay.port);
    const ann = await join(relay);
    const [slow, quick] = [await Watcher.start(reader.url, 'live', 1), await Watcher.start(relay.wsUrl, 'live', 2)];
    const from = slow.live.reel.edge?.seq ?? 0;
    reader.limit(0);
    await talk(ann, 400);
    const { recordingId } = await ann.end();
    reader.limit(Number.POSITIVE_INFINITY);
    await Promise.all([slow.finish(), quick.finish()]);
    // Who has been shown all of it need not ask for anything.
    expect([slow, quick].map(({ live }) => (live.reel as { rest?: string }).rest)).toEqual([recordingId, undefined]);
    const truth = await Truth.of(`${relay.url}/v1/recordings/${recordingId}.lmsp`);
    const expected = truth.seqs.filter((seq) => seq > from);
    expect(expected.length).toBeGreaterThan(400);
    for (const { seqs, live, errors } of [slow, quick]) {
      expect(seqs.filter((seq) => seq > from)).toEqual(expected);
      expect(Object.fromEntries(live.states)).toEqual(truth.last);
      expect(errors).toEqual([]);
      live.close();
    }
  });

  test('[V1] [V3] going back in it works on, also when the relay has been started anew since', async () => {
    const relay = await TestRelay.start();
    const ann = await join(relay);
    const watcher = await Watcher.start(relay.wsUrl, 'live', 1);
    const { live } = watcher;
    for (const name of ['one', 'two']) {
      await talk(ann, 50);
      await ann.checkpoint(name);
    }
    const { recordingId } = await ann.end();
    await watcher.finish();
    await relay.restart();
    const truth = await Truth.of(`${relay.url}/v1/recordings/${recordingId}.lmsp`);
    const checkpoints = await live.checkpoints();
    expect(checkpoints.map(({ name }) => name)).toEqual(['one', 'two']);
    for (const time of [checkpoints[1]?.time ?? 0, checkpoints[0]?.time ?? 0, 0, live.duration]) {
      await live.seek(time);
      watcher.look();
    }
    expect(watcher.looks.filter((look) => !truth.explains(look)).map((look) => truth.explanation(look))).toEqual([]);
    expect([watcher.looks.length, watcher.errors]).toEqual([4, []]);
    live.close();
  });
});

async function join({ wsUrl }: TestRelay): Promise<Session> {
  return await connect({ url: wsUrl, room: 'arena', player: 'ann', profile: 'json', state: { text: '' } });
}

async function talk(session: Session, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    session.edit('text', { at: 0, remove: 0, insert: 'a' });
    session.record({ type: 'blob', data: { text: LONG } });
    if (i % 50 === 49) await session.stable();
  }
  await session.stable();
}
