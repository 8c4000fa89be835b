import { randomUUID } from 'node:crypto';
import { connect, type Session } from '@gametape/client-sdk';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RawClient } from '../support/raw-client.ts';
import { RelayProcess } from '../support/relay.ts';
import { runningTime } from '../support/running-time.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { NOTHING_LOST, RETURN_LIMIT_MS, TypingRooms } from './typing-rooms.ts';

/** PROTOCOL.md, DRAINING: no client tries again later than a second after the attempt before. */
const BACK_LIMIT_MS = 2_000;
/** What a machine that does much else adds to it: so many times what it takes somebody new to join at the same time. */
const JOINS = 4;
/** Handshakes at once: more would only wait for each other. */
const AT_ONCE = 25;
/** So many take so long to recover that a SIGTERM comes into the middle of it. */
const MANY_ROOMS = 400;

describe('a relay under load that is told to stop', { timeout: 300_000 }, () => {
  test('[J7] SIGTERM: exit 0 in time, nothing is lost, and everybody is back within 2 s of the next relay listening', async () => {
    const relay = await relayProcess();
    const typing = await typingAt(relay);
    for (let life = 1; life <= 3; life++) {
      await waitFor('everybody to have something accepted', () => typing.haveAccepted(life * 20));
      expect(await relay.stop()).toBe(0);
      await relay.start();
      await expectBackInTime(typing, relay);
    }
    const { problems, counts } = await typing.endAndCheck(relay);
    expect(problems).toEqual([]);
    expect(counts).toMatchObject(NOTHING_LOST);
    expect(counts.returns).toBeGreaterThanOrEqual(3 * 16);
  });

  test('[J7] a supervisor that sends SIGTERM again and again gets the same exit 0, and nothing is lost', async () => {
    const relay = await relayProcess();
    const typing = await typingAt(relay);
    await waitFor('everybody to have something accepted', () => typing.haveAccepted(20));
    const again = setInterval(() => relay.signal('SIGTERM'), 1);
    onTestFinished(() => clearInterval(again));
    expect(await relay.exited()).toBe(0);
    clearInterval(again);
    await relay.start();
    await expectBackInTime(typing, relay);
    const { problems, counts } = await typing.endAndCheck(relay);
    expect(problems).toEqual([]);
    expect(counts).toMatchObject(NOTHING_LOST);
  });

  test('[J7] SIGTERM in the middle of recovery: exit 0, and the next relay has every room', async () => {
    const relay = await relayProcess();
    for (let room = 0; room < MANY_ROOMS; room += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => saySomething(relay, `room-${room + i}`)));
    }
    // Again where the machine stood still until all of them were back.
    for (let isEarly = false; !isEarly; ) {
      await relay.kill();
      const before = relay.log.length;
      const recovered = () => relay.log.slice(before).split('room is back').length - 1;
      const launched = relay.launch().catch((error: Error) => error);
      await waitFor('the first room to be back', () => recovered() > 0);
      expect(await relay.stop()).toBe(0);
      isEarly = (await launched) instanceof Error;
      if (isEarly) expect(recovered()).toBeLessThan(MANY_ROOMS);
    }
    await relay.start();
    const rooms = (await (await fetch(`${relay.url}/v1/rooms`)).json()) as { rooms: unknown[] };
    expect(rooms.rooms).toHaveLength(MANY_ROOMS);
  });
});

async function expectBackInTime(typing: TypingRooms, relay: RelayProcess): Promise<void> {
  const joining = join(relay);
  const [backMs, joinMs] = await Promise.all([
    timeOf(waitFor('everybody to be back', () => typing.areAllLive, RETURN_LIMIT_MS)),
    timeOf(joining),
  ]);
  await (await joining).end();
  expect(backMs).toBeLessThan(BACK_LIMIT_MS + JOINS * joinMs);
}

async function join(relay: RelayProcess): Promise<Session> {
  const room = `newcomer-${randomUUID()}`;
  return await connect({ url: relay.wsUrl, room, player: 'a', profile: 'json', timeoutMs: RETURN_LIMIT_MS });
}

async function timeOf(work: Promise<unknown>): Promise<number> {
  const tookMs = runningTime();
  await work;
  return tookMs();
}

async function saySomething(relay: RelayProcess, room: string): Promise<void> {
  const client = await RawClient.join(relay.wsUrl, { room });
  client.events(1, [`said in ${room}`]);
  await client.accepted(1);
}

async function relayProcess(): Promise<RelayProcess> {
  const relay = await RelayProcess.start(await tempDir());
  onTestFinished(() => relay.kill());
  return relay;
}

async function typingAt(relay: RelayProcess): Promise<TypingRooms> {
  const typing = await TypingRooms.start(relay.wsUrl);
  onTestFinished(() => typing.stop());
  return typing;
}
