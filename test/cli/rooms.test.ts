import { connect } from '@gametape/client-sdk';
import { describe, expect, onTestFinished, test } from 'vitest';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { RelayProcess } from '../support/relay.ts';
import { tempDir } from '../support/temp-dir.ts';
import { gametape } from './gametape.ts';

describe('rooms', () => {
  test('lists what a killed relay left in its directory, and changes nothing', async () => {
    const dataDir = await tempDir();
    const recordingId = await leave(dataDir);
    for (let i = 0; i < 2; i++) {
      const { code, stdout } = await gametape(['rooms', '--data', dataDir, '--json']);
      expect(code).toBe(0);
      const { rooms } = JSON.parse(stdout) as { rooms: object[] };
      expect(rooms).toEqual([
        { room: 'arena', recordingId, events: 11, missing: 0, lastAt: expect.stringMatching(/^20\d\d-/), owner: null },
      ]);
    }
    const { stdout } = await gametape(['rooms', '--data', dataDir]);
    expect(stdout).toMatch(/^room +recording +entries +missing +last\narena +[0-9A-Z]{26} +11 +0 +20/);
  });

  test('a directory without a journal is an error that says so', async () => {
    const { code, stderr } = await gametape(['rooms', '--data', await tempDir()]);
    expect(code).toBe(1);
    expect(stderr).toContain('there is no journal');
  });

  test.skipIf(!hasRedis)('lists what is in a Redis, with who has it', async () => {
    const redis = await RedisServer.start();
    const recordingId = await leave(await tempDir(), ['--redis', redis.url, '--lease', '1']);
    const list = async () => {
      const { stdout } = await gametape(['rooms', '--redis', redis.url, '--json']);
      return (JSON.parse(stdout) as { rooms: { owner: string | null }[] }).rooms;
    };
    expect(await list()).toMatchObject([{ room: 'arena', recordingId, events: 11 }]);
    redis.cli('DEL', 'gt:{arena}:owner');
    expect(await list()).toMatchObject([{ owner: null }]);
  });

  test.skipIf(!hasRedis)('[J6] says how much of what was sealed is not there any more', async () => {
    const redis = await RedisServer.start({ appendfsync: 'no' });
    const recordingId = await leave(await tempDir(), ['--redis', redis.url, '--lease', '1'], 27_000);
    const list = async () => (await gametape(['rooms', '--redis', redis.url, '--json'])).stdout;
    expect(JSON.parse(await list())).toMatchObject({ rooms: [{ recordingId, events: 27_001, missing: 0 }] });
    const checkpoints = 'gt:{arena}:checkpoints';
    const [first] = redis.entries(checkpoints).filter(({ fields }) => fields.r);
    redis.cli('XDEL', checkpoints, first?.id as string);
    const lost = Number(first?.fields.s);
    expect(JSON.parse(await list())).toMatchObject({ rooms: [{ events: 27_001 - lost, missing: lost }] });
  });

  test.skipIf(!hasRedis)('a Redis that is not there is an error that does not show its password', async () => {
    const { code, stderr } = await gametape(['rooms', '--redis', 'redis://:secret@127.0.0.1:1']);
    expect(code).toBe(1);
    expect(stderr).toContain('no Redis answers there');
    expect(stderr).not.toContain('secret');
  });
});

/** Lets a relay record a little and kills it. Returns the recording. */
async function leave(dataDir: string, args: readonly string[] = [], events = 10): Promise<string> {
  const relay = await RelayProcess.start(dataDir, args);
  onTestFinished(() => relay.kill());
  const session = await connect({ url: relay.wsUrl, room: 'arena', player: 'a', profile: 'json' });
  for (let i = 1; i <= events; i++) {
    session.say(`t${i}`);
    if (i % 9_000 === 0 || i === events) await session.stable();
  }
  await relay.kill();
  const { recordingId } = session;
  // It would go on looking for its relay.
  void session.leave().catch(() => undefined);
  return recordingId;
}
