import { describe, expect, onTestFinished, test } from 'vitest';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { RelayProcess, TestRelay } from '../support/relay.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { NOTHING_LOST, RETURN_LIMIT_MS, TypingRooms } from './typing-rooms.ts';

const BLOCKED_MS = 500;
const BLOCKS_ON_SIGUSR2 = `data:text/javascript,process.on('SIGUSR2', () => {
  const until = performance.now() + ${BLOCKED_MS};
  while (performance.now() < until);
  console.error('was blocked');
})`;

describe.skipIf(!hasRedis)('a relay whose event loop stands still', () => {
  test(`[J4] [W10] for ${BLOCKED_MS} ms, again and again: it keeps its rooms and its players, and nothing is lost`, async () => {
    const redis = await RedisServer.start();
    const relay = await RelayProcess.start(await tempDir(), ['--redis', redis.url], {
      args: ['--import', BLOCKS_ON_SIGUSR2.replaceAll('\n', ' ')],
    });
    onTestFinished(() => relay.kill());
    // One that takes over whatever is free, as soon as it is.
    const other = await TestRelay.start({ redis: redis.url, leaseMs: BLOCKED_MS });
    const typing = await TypingRooms.start(relay.wsUrl, { rooms: 2, players: 3 });
    onTestFinished(() => typing.stop());
    for (let time = 1; time <= 5; time++) {
      relay.signal('SIGUSR2');
      await waitFor('it to go on', () => relay.log.split('was blocked').length > time);
      await waitFor('more to be accepted', () => typing.haveAccepted(time * 10), RETURN_LIMIT_MS);
    }
    expect(await (await other.get('/v1/rooms')).json()).toEqual({ rooms: [] });
    const { problems, counts } = await typing.endAndCheck(relay);
    expect(problems).toEqual([]);
    expect(counts).toMatchObject({ ...NOTHING_LOST, returns: 0 });
  });
});
