import { connect, type Session } from '@gametape/client-sdk';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import { RelayProcess } from '../support/relay.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor, within } from '../support/wait-for.ts';

const ROOMS = 10;
const PLAYERS = 30;
const LIMIT_MS = 60_000;
/** Fault 35. */
const BACK_LIMIT_MS = 30_000;

describe('hundreds of players that all come back at once', { timeout: 300_000 }, () => {
  test(`[J4] [W9] ${ROOMS * PLAYERS} of them after kill -9 and restart of the relay: all are back, with all they had`, async () => {
    const relay = await RelayProcess.start(await tempDir());
    onTestFinished(() => relay.kill());
    const sessions = await joinAll(relay.wsUrl);
    sayAll(sessions, 'before');
    await waitFor('something to be accepted', () => sessions.every(({ status }) => status.accepted > 0), LIMIT_MS);
    await relay.kill();
    sayAll(sessions, 'meanwhile');
    await relay.start();
    await waitFor('all to be back', () => sessions.every(isLive), BACK_LIMIT_MS);
    await expectComplete(sessions, ['before', 'meanwhile']);
  });

  test(`[W4] [W9] ${ROOMS * PLAYERS} of them after their network was reset: the relay lives, and all are back with all they had`, async () => {
    const relay = await RelayProcess.start(await tempDir());
    onTestFinished(() => relay.kill());
    const proxy = await ChaosProxy.start(Number(new URL(relay.wsUrl).port));
    onTestFinished(() => proxy.close());
    const sessions = await joinAll(`ws://127.0.0.1:${proxy.port}`);
    sayAll(sessions, 'before');
    proxy.reset();
    await waitFor('all to notice', () => !sessions.some(isLive) || proxy.opened > sessions.length, LIMIT_MS);
    sayAll(sessions, 'meanwhile');
    await waitFor('all to be back', () => proxy.opened >= 2 * sessions.length && sessions.every(isLive), BACK_LIMIT_MS);
    await expectComplete(sessions, ['before', 'meanwhile']);
  });
});

async function joinAll(url: string): Promise<Session[]> {
  const sessions: Session[] = [];
  for (let room = 0; room < ROOMS; room++) {
    const options = { url, room: `room-${room}`, profile: 'json', timeoutMs: LIMIT_MS } as const;
    const joining = Array.from({ length: PLAYERS }, (_, i) => connect({ ...options, player: `p${i}` }));
    sessions.push(...(await Promise.all(joining)));
  }
  return sessions;
}

function sayAll(sessions: readonly Session[], message: string): void {
  for (const session of sessions) session.say(message);
}

async function expectComplete(sessions: readonly Session[], said: readonly string[]): Promise<void> {
  await waitFor(
    'all of it to be accepted',
    () => sessions.every(({ status }) => status.accepted === said.length && status.lost === 0),
    LIMIT_MS,
  );
  const firsts = sessions.filter(({ player }) => player === 'p0');
  const summaries = await within('the rooms to end', Promise.all(firsts.map((session) => session.end())), LIMIT_MS);
  for (const { complete, players } of summaries) {
    expect(complete).toBe(true);
    expect(players.map(({ expected, received }) => [expected, received])).toEqual(
      Array.from({ length: PLAYERS }, () => [said.length, said.length]),
    );
  }
}

function isLive({ status }: Session): boolean {
  return status.connection === 'live';
}
