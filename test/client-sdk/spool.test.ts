import { appendFile, cp, readdir, readFile, rename, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type GametapeError, keptTails, type Session } from '@gametape/client-sdk';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { TestRelay } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { loggedBy, logIn, readLives, SpooledGame } from '../support/spooled-games.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

interface Joined {
  readonly session: Session;
  readonly errors: GametapeError[];
}

async function joinRoom(url: string, directory: string, player = 'ann', room = 'r'): Promise<Joined> {
  const session = await connect({ url, room, player, profile: 'json', state: {}, spool: { directory } });
  const errors: GametapeError[] = [];
  session.on('error', (error) => errors.push(error as GametapeError));
  onTestFinished(() => void session.leave().catch(() => undefined));
  return { session, errors };
}

function play(session: Session, from: number, to: number): void {
  for (let n = from; n <= to; n++) session.record({ type: 'typed', data: { n } }, { text: `state ${n}` });
}

function pathOf(relay: TestRelay, recordingId: string): string {
  return join(relay.dataDir, 'recordings', `${recordingId}.lmsp`);
}

async function spoolsIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => !name.endsWith('.sock'));
}

/** A game that is killed while its relay is away: its tail is in `directory`/spool alone. */
async function leaveTail(relay: TestRelay, directory: string, events = 30): Promise<string> {
  const options = { url: relay.wsUrl, room: 'r', player: 'ann', directory: `${directory}/spool` };
  const game = SpooledGame.start({ ...options, life: 1, log: logIn(directory, 'ann') });
  const { joined = '' } = await game.joined();
  await relay.stop();
  const logged = () => loggedBy(logIn(directory, 'ann')).get(1) ?? 0;
  const before = logged();
  await waitFor('a tail', () => logged() >= before + events);
  await game.kill();
  return joined;
}

describe('[W3] a spool', () => {
  test('holds what is not stable, and nothing once all is', async () => {
    const relay = await TestRelay.start();
    const directory = await tempDir();
    const { session, errors } = await joinRoom(relay.wsUrl, directory);
    expect(session.status.spool).toEqual({ isKept: true, bytes: 0, recovered: 0, kept: 0 });
    play(session, 1, 50);
    await session.stable();
    expect(session.status.spool?.bytes).toBeGreaterThan(500);
    expect(await spoolsIn(directory)).toHaveLength(1);
    const { complete } = await session.end();
    expect(complete).toBe(true);
    expect(await readdir(directory)).toEqual([]);
    expect(errors).toEqual([]);
  });

  test('begins another segment, and forgets those before it', async () => {
    const relay = await TestRelay.start();
    const directory = await tempDir();
    const { session } = await joinRoom(relay.wsUrl, directory);
    for (let round = 0; round < 12; round++) {
      for (let n = 0; n < 20; n++)
        session.record({ type: 'typed', data: { round, n, text: `${round} ${n}`.padEnd(3_000, '.') } });
      await session.stable();
      expect(session.status.spool?.bytes, `round ${round}`).toBeLessThan(600_000);
    }
    const [folder = ''] = await spoolsIn(directory);
    await waitFor('old segments to go', async () => (await readdir(join(directory, folder))).length <= 2);
    expect((await readdir(join(directory, folder)))[0]).not.toBe('00000001.spool');
    await session.end();
  });

  test('of a recording that has ended meanwhile is kept, told and can be read', async () => {
    const relay = await TestRelay.start();
    const directory = await tempDir();
    const ended = await leaveTail(relay, directory);
    await relay.restart();
    await waitFor('the room to be back', () => relay.room('r'));
    await relay.get('/v1/rooms/r/end', { method: 'POST' });
    const spool = `${directory}/spool`;
    const { session, errors } = await joinRoom(relay.wsUrl, spool);
    expect(session.recordingId).not.toBe(ended);
    await waitFor('an error', () => errors.length > 0);
    expect(errors.map(({ code }) => code)).toEqual(['TAIL_KEPT']);
    expect(errors[0]?.message).toMatch(
      new RegExp(`what ann left in room r .*events \\d+ to \\d+ of recording ${ended}`),
    );
    expect(session.status.spool).toMatchObject({ isKept: true, recovered: 0, kept: 1 });
    await session.end();
    // Told once; still there.
    const again = await joinRoom(relay.wsUrl, spool);
    expect(again.session.status.spool).toMatchObject({ kept: 1 });
    await again.session.end();
    expect(again.errors).toEqual([]);
    const [tail, ...others] = await keptTails({ directory: spool, room: 'r' });
    expect(others).toEqual([]);
    expect(tail).toMatchObject({ player: 'ann', recordingId: ended, reason: { code: 'ROOM_ENDED' } });
    const events = [...(tail?.events() ?? [])].filter(({ type }) => type !== undefined);
    expect(events.length).toBeGreaterThan(20);
    const logged = loggedBy(logIn(directory, 'ann')).get(1) ?? 0;
    const numbers = events.map(({ data }) => data.n as number);
    expect(numbers.at(-1)).toBeGreaterThanOrEqual(logged);
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] as number) + index));
    for (const { time, data } of events) expect(Math.abs(time.getTime() - (data.wallMs as number))).toBeLessThan(500);
    let last: unknown;
    for (const { state, data } of tail?.events() ?? []) last = { ...state, n: data.n };
    expect(last).toMatchObject({ text: expect.stringMatching(/^\d+ /) });
    await tail?.discard();
    expect(await keptTails({ directory: spool })).toEqual([]);
    expect(await readdir(spool)).toEqual([]);
  });

  test.each(Array.from({ length: 6 }, (_, index) => index + 1))(
    'cut or with a flipped bit, seed %i: what is intact is recorded, the rest is stated',
    async (seed) => {
      const random = seededRandom(seed);
      const relay = await TestRelay.start();
      const directory = await tempDir();
      await leaveTail(relay, directory, 60);
      const spool = `${directory}/spool`;
      const [folder = ''] = await spoolsIn(spool);
      const file = join(spool, folder, '00000001.spool');
      const bytes = await readFile(file);
      // The first seed's is in the head, without which nothing could be delivered.
      const at = Math.floor(random() * (seed === 1 ? 80 : bytes.length));
      const isCut = seed % 2 === 0;
      if (isCut) await truncate(file, at);
      else {
        bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8));
        await writeFile(file, bytes);
      }
      await relay.restart();
      const { session, errors } = await joinRoom(relay.wsUrl, spool);
      play(session, 1, 3);
      const { recordingId } = await session.end();
      // Verified, and each life's events are numbered without a hole.
      const recording = await readLives(pathOf(relay, recordingId), 'ann', logIn(directory, 'nobody'));
      const numbers = recording.own.filter(({ data }) => data.life === 1).map(({ data }) => data.n);
      expect(numbers).toEqual(numbers.map((_, index) => index + 1));
      const gaps = recording.summary.players[0]?.gaps ?? [];
      if (gaps.length > 0) expect(errors[0]?.message).toContain('damaged in the spool');
      // Only a cut between two records leaves no trace.
      const told = gaps.length > 0 ? 'TAIL_KEPT' : 'EVENTS_LOST';
      expect(errors.map(({ code }) => code)).toEqual(isCut && errors.length === 0 ? [] : [told]);
      if (isCut) expect(gaps).toEqual([]);
      expect(recording.summary.complete).toBe(false);
    },
  );

  test('of another version is left alone, and told', async () => {
    const relay = await TestRelay.start();
    const directory = await tempDir();
    await leaveTail(relay, directory);
    const spool = `${directory}/spool`;
    const [folder = ''] = await spoolsIn(spool);
    const file = join(spool, folder, '00000001.spool');
    const later = Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
    const { crc32 } = await import('node:zlib');
    later.writeUInt32LE(crc32(later.subarray(8)), 4);
    await writeFile(file, later);
    await relay.restart();
    const { session, errors } = await joinRoom(relay.wsUrl, spool);
    await waitFor('an error', () => errors.length > 0);
    expect(errors[0]?.code).toBe('TAIL_KEPT');
    expect(errors[0]?.message).toContain('another version');
    const [left = ''] = (await spoolsIn(spool)).filter((name) => name.includes(folder.split('.')[2] as string));
    expect(await readFile(join(spool, left, '00000001.spool'))).toEqual(later);
    await session.end();
  });

  test('that is older than 7 days is discarded, and told', async () => {
    const relay = await TestRelay.start();
    const directory = await tempDir();
    await leaveTail(relay, directory);
    const spool = `${directory}/spool`;
    const [folder = ''] = await spoolsIn(spool);
    const parts = folder.split('.');
    await cp(join(spool, folder), join(spool, [parts[0], 'bob', 'aa', '1000', ...parts.slice(4)].join('.')), {
      recursive: true,
    });
    await relay.restart();
    const { session, errors } = await joinRoom(relay.wsUrl, spool);
    await waitFor('an error', () => errors.length > 0);
    expect(errors.map(({ code }) => code)).toEqual(['EVENTS_LOST']);
    expect(errors[0]?.message).toMatch(/what bob left .*: discarded, older than 7 days/);
    expect(session.status.spool).toMatchObject({ kept: 0 });
    expect(session.status.spool?.recovered).toBeGreaterThan(20);
    await session.end();
    expect(await readdir(spool)).toEqual([]);
  });

  test.each([
    ['by a process that was killed', true, false],
    ['before the machine was started again', false, true],
  ])('written %s, is known to be all: %s', async (_, isComplete, isRebooted) => {
    const relay = await TestRelay.start();
    const directory = await tempDir();
    const spool = `${directory}/spool`;
    const options = { url: relay.wsUrl, room: 'r', player: 'ann', directory: spool };
    const game = SpooledGame.start({ ...options, life: 1, log: logIn(directory, 'ann') });
    await game.joined();
    await relay.stop();
    await waitFor('a tail', () => (loggedBy(logIn(directory, 'ann')).get(1) ?? 0) >= 20);
    const recorded = await game.pause();
    await game.kill();
    const [folder = ''] = await spoolsIn(spool);
    if (isRebooted) await rename(join(spool, folder), join(spool, folder.replace(/[^.]+(?=\.[^.]+$)/, 'earlier')));
    await relay.restart();
    const { session, errors } = await joinRoom(relay.wsUrl, spool);
    const { recordingId, complete } = await session.end();
    expect(complete).toBe(isComplete);
    const recording = await readLives(pathOf(relay, recordingId), 'ann', logIn(directory, 'ann'));
    expect(recording.own.filter(({ data }) => data.life === 1)).toHaveLength(recorded);
    expect(errors).toEqual([]);
  });

  test('that is synced is marked so: a new start of the machine changes nothing', async () => {
    const relay = await TestRelay.start();
    const directory = await tempDir();
    const options = { url: relay.wsUrl, room: 'r', player: 'ann', profile: 'json' } as const;
    const session = await connect({ ...options, spool: { directory, sync: true } });
    play(session, 1, 20);
    expect((await spoolsIn(directory))[0]).toMatch(/^r\.ann\.[0-9a-f]{16}\.\d+\.synced\./);
    expect((await session.end()).complete).toBe(true);
  });

  test.each([-3_600_000, 3_600_000])(
    '[T5] delivered with a wall clock that was set by %i ms meanwhile: no event is after its arrival or out of order',
    async (stepMs) => {
      const relay = await TestRelay.start();
      const directory = await tempDir();
      await leaveTail(relay, directory);
      await relay.restart();
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + stepMs });
      onTestFinished(() => void vi.useRealTimers());
      const { session } = await joinRoom(relay.wsUrl, `${directory}/spool`);
      expect(session.status.spool?.recovered).toBeGreaterThan(20);
      const { recordingId } = await session.end();
      vi.useRealTimers();
      const { entries } = await relay.recording(recordingId);
      const tail = entries.filter(({ data }) => data.life === 1);
      expect(tail.map(({ data }) => data.n)).toEqual(tail.map((_, index) => index + 1));
      const joined = entries.findLast(({ type }) => type === 'player_join');
      for (const { time } of tail) {
        expect(time).toBeGreaterThanOrEqual(entries[0]?.time ?? 0);
        expect(time).toBeLessThanOrEqual(joined?.time ?? 0);
      }
    },
  );

  test('on a full disk is given up, and recording goes on', async () => {
    const relay = await TestRelay.start();
    const directory = await tempDir();
    const { session, errors } = await joinRoom(relay.wsUrl, directory);
    const [folder = ''] = await spoolsIn(directory);
    await symlink('/dev/full', join(directory, folder, '00000001.spool'));
    play(session, 1, 20);
    await waitFor('an error', () => errors.length > 0);
    expect(errors.map(({ code }) => code)).toEqual(['SPOOL_FAILED']);
    expect(errors[0]?.message).toMatch(/ENOSPC/);
    expect(session.status.spool).toMatchObject({ isKept: false });
    play(session, 21, 40);
    const { recordingId, complete } = await session.end();
    expect(complete).toBe(true);
    expect((await relay.recording(recordingId)).own.map(({ data }) => data.n)).toEqual(
      Array.from({ length: 40 }, (_, index) => index + 1),
    );
    expect(errors).toHaveLength(1);
  });

  test('in a place that is none is not kept, and recording goes on', async () => {
    const relay = await TestRelay.start();
    const file = join(await tempDir(), 'file');
    await appendFile(file, 'not a directory');
    const { session, errors } = await joinRoom(relay.wsUrl, file);
    await waitFor('an error', () => errors.length > 0);
    expect(errors.map(({ code }) => code)).toEqual(['SPOOL_FAILED']);
    expect(session.status.spool).toMatchObject({ isKept: false });
    play(session, 1, 5);
    expect((await session.end()).complete).toBe(true);
  });

  test('is not taken from a process that lives', async () => {
    const relay = await TestRelay.start();
    const directory = await tempDir();
    const options = { url: relay.wsUrl, room: 'r', player: 'ann', directory: `${directory}/spool` };
    const one = SpooledGame.start({ ...options, life: 1, log: logIn(directory, 'one') });
    const { joined = '' } = await one.joined();
    await waitFor('it to record', () => (loggedBy(logIn(directory, 'one')).get(1) ?? 0) >= 10);
    // A second copy of the game, of another player of the same machine, and then of the same one.
    const other = SpooledGame.start({ ...options, player: 'bob', life: 1, log: logIn(directory, 'bob') });
    expect((await other.joined()).spool).toMatchObject({ isKept: true, recovered: 0, kept: 0 });
    const two = SpooledGame.start({ ...options, life: 2, log: logIn(directory, 'two') });
    expect((await two.joined()).spool).toMatchObject({ isKept: true, recovered: 0, kept: 0 });
    await waitFor('the first to be superseded', () => one.said.some(({ error }) => error === 'SUPERSEDED'));
    await waitFor('it to record', () => (loggedBy(logIn(directory, 'two')).get(2) ?? 0) >= 10);
    await other.finish('leave');
    await two.finish('end');
    await readLives(pathOf(relay, joined), 'ann', logIn(directory, 'two'));
    await readLives(pathOf(relay, joined), 'bob', logIn(directory, 'bob'));
  });
});
