import { readdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { recoverable, survivors } from '../support/power-cut.ts';
import { type ProcessOptions, RelayProcess } from '../support/relay.ts';
import { Strace } from '../support/strace.ts';
import { canMount, hasPrlimit, hasStrace, SmallDisk, setLimit } from '../support/system-tools.ts';
import { allStable, endWhole, expectWhole, readiness, Talker, untilGreen, untilRed } from '../support/talker.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor, within } from '../support/wait-for.ts';

/** How many failing calls are tried, one after the other; `npm run chaos` tries as many as there are rounds, up to 50. */
const ROUNDS = Number(process.env.GAMETAPE_ROUNDS ?? 0);
const NTH_SYNCS = ROUNDS > 0 ? Array.from({ length: Math.min(50, ROUNDS) }, (_, i) => i + 1) : [1, 7];
const NTH_WRITES = ROUNDS > 0 ? NTH_SYNCS : [1];
const LIMIT_MS = 300_000;

/** One thread for all file operations: they come in one order, and are counted in it. */
const ONE_THREAD: ProcessOptions = { env: { UV_THREADPOOL_SIZE: '1' } };

describe.skipIf(!canMount)('a disk that fills up', { timeout: LIMIT_MS }, () => {
  test('[J5] [J1] under load: no exit, no false ack, a red /readyz, and everything once when there is space', async () => {
    const disk = await SmallDisk.mount(8);
    const relay = await startRelay(disk.path);
    const talkers = await join2(relay, 'arena');
    for (const talker of talkers) talker.start(20_000, 2);
    await untilRed(relay, /read-only.*ENOSPC/, 60_000);
    for (const talker of talkers) talker.stop();
    await waitFor('everybody to be told', () => talkers.every(({ session }) => session.status.connection !== 'live'));
    const acked = talkers.map(({ session }) => session.status.accepted);
    // What was acknowledged is there for whoever reads the disk now.
    const left = await recoverable(disk.path);
    for (const [i, { session }] of talkers.entries()) {
      expect(left.get(session.player), session.player).toBeGreaterThanOrEqual(acked[i] as number);
    }
    expect(relay.isRunning).toBe(true);
    expect((await fetch(`${relay.url}/livez`)).status).toBe(200);
    expect((await fetch(`${relay.url}/v1/rooms/arena`)).status).toBe(503);
    disk.resize(64);
    await untilGreen(relay);
    for (const talker of talkers) talker.say();
    await allStable(talkers);
    await endWhole(relay, talkers);
    expect(await unfinished(disk.path)).toEqual([]);
    expect(relay.log).not.toContain('cannot be recovered');
  });

  test('[J5] while a recording is finished: its session waits, and has it when there is space', async () => {
    const disk = await SmallDisk.mount(24);
    const relay = await startRelay(disk.path);
    const talkers = await join2(relay, 'arena');
    for (let i = 0; i < 225; i++) for (const talker of talkers) talker.say(20_000);
    await allStable(talkers);
    const sealed = join(disk.path, 'journal', `${talkers[0].session.recordingId}.lmsp`);
    await waitFor('nearly all of it to be sealed', async () => (await stat(sealed)).size > 8_600_000);
    // Whatever it lets go of later would be space for the recording.
    await waitFor('the log to have let go of that', async () => (await logBytes(disk.path)) < 3 * 1024 * 1024);
    const ballast = join(disk.path, 'ballast');
    // Enough for what is still to be sealed, and not for 6 MB of recording.
    await fillUp(ballast, 2 * 1024 * 1024);
    const ended = talkers[0].session.end();
    await untilRed(relay, /finishing it failed.*ENOSPC/, 60_000);
    expect(relay.isRunning).toBe(true);
    // What it could not finish takes no space from live rooms.
    expect((await readdir(join(disk.path, 'recordings'))).filter((name) => !name.endsWith('.partial'))).toEqual([]);
    await rm(ballast);
    const summary = await within('the room to end', ended, 60_000);
    await expectWhole(relay, talkers, summary);
    await untilGreen(relay);
    expect(await unfinished(disk.path)).toEqual([]);
    expect(await readdir(join(disk.path, 'recordings'))).toEqual([`${summary.recordingId}.lmsp`]);
  });
});

describe.skipIf(!hasStrace)('a disk that fails', { timeout: LIMIT_MS }, () => {
  for (const nth of NTH_SYNCS) {
    test(`[J5] [J1] EIO on fdatasync ${nth}: nothing is called stable that is not, nothing is lost`, () =>
      failAndKill([`fdatasync:error=EIO:when=${nth}`]));
  }

  for (const nth of NTH_WRITES) {
    test(`[J5] [J1] EIO on write ${nth}: nothing is called stable that is not, nothing is lost`, () =>
      failAndKill([`pwrite64:error=EIO:when=${nth}`, `pwritev:error=EIO:when=${nth}`]));
  }

  test('[J5] EIO on one fdatasync after the other: read-only until they work again, with no restart', async () => {
    const relay = await startRelay(await tempDir(), ONE_THREAD);
    const strace = await Strace.attach(relay.pid, ['fdatasync:error=EIO:when=12..17']);
    const talkers = await join2(relay, 'arena');
    for (const talker of talkers) talker.start();
    await untilRed(relay, /read-only.*EIO/);
    await untilGreen(relay);
    for (const talker of talkers) talker.stop();
    await allStable(talkers);
    expect(await strace.injections()).toBe(6);
    await endWhole(relay, talkers);
  });

  test('[J5] a disk whose every sync takes 2 s: events are accepted meanwhile, and memory is bounded', async () => {
    const relay = await startRelay(await tempDir());
    const strace = await Strace.attach(relay.pid, ['fdatasync:delay_enter=2000000']);
    const talkers = await join2(relay, 'arena');
    const residentBefore = await residentBytes(relay.pid);
    const { session } = talkers[0];
    let [stable, accepted, mostBetween, between] = [0, 0, 0, 0];
    session.on('status', (status) => {
      if (status.stable > stable) between = 0;
      else if (status.accepted > accepted) between++;
      [stable, accepted] = [status.stable, status.accepted];
      mostBetween = Math.max(mostBetween, between);
    });
    for (const talker of talkers) talker.start(8_000, 10);
    await waitFor('acks of many flushes between two syncs', () => mostBetween >= 20, 60_000);
    await waitFor('some of it to be stable', () => stable > 0, 60_000);
    for (const talker of talkers) talker.stop();
    expect((await residentBytes(relay.pid)) - residentBefore).toBeLessThan(256 * 1024 * 1024);
    await strace.detach();
    await allStable(talkers);
    await endWhole(relay, talkers);
  });
});

describe.skipIf(!hasPrlimit)('a relay at its limits', { timeout: LIMIT_MS }, () => {
  test('[J5] a file may not get longer than 600 KiB: short writes and EFBIG lose nothing', async () => {
    const relay = await startRelay(await tempDir());
    setLimit(relay.pid, `--fsize=${600 * 1024}:unlimited`);
    const talkers = await join2(relay, 'arena');
    for (const talker of talkers) talker.start(4_000, 5);
    // The log goes on in new segments, the room's own file cannot: what is in it already is longer than that.
    await untilRed(relay, /sealing a block failed twice.*EFBIG/);
    const before = talkers.map(({ said }) => said);
    await waitFor('more to be stable while nothing can be sealed', () =>
      talkers.every(({ session }, i) => session.status.stable > (before[i] as number)),
    );
    for (const talker of talkers) talker.stop();
    await allStable(talkers);
    expect((await readiness(relay)).status).toBe(503);
    setLimit(relay.pid, '--fsize=unlimited:unlimited');
    await untilGreen(relay);
    await endWhole(relay, talkers);
    expect(await unfinished(relay.dataDir)).toEqual([]);
  });

  test('[J5] [J7] while nothing can be sealed, SIGTERM ends the relay in time, and the next one seals', async () => {
    const relay = await startRelay(await tempDir());
    setLimit(relay.pid, `--fsize=${600 * 1024}:unlimited`);
    const talkers = await join2(relay, 'arena');
    for (const talker of talkers) talker.start(4_000, 5);
    await untilRed(relay, /sealing a block failed twice.*EFBIG/);
    for (const talker of talkers) talker.stop();
    await allStable(talkers);
    expect(await relay.stop()).toBe(0);
    await relay.start();
    await allStable(talkers);
    await endWhole(relay, talkers);
  });

  test('[J5] [S2] 160 descriptors: peers are refused before the journal lacks one', async () => {
    const relay = await startRelay(await tempDir(), { command: ['prlimit', '--nofile=160:160'] });
    const talkers = await join2(relay, 'arena');
    const sockets = await crowd(relay, 300);
    await waitFor('some to be refused', () => sockets.some(({ destroyed }) => destroyed));
    // Enough for seals, and for segments that are full.
    for (let i = 0; i < 100; i++) for (const talker of talkers) talker.say(20_000);
    await allStable(talkers);
    expect(relay.log).toContain('connections are refused');
    expect(relay.log).not.toMatch(/sealing fails|read-only/);
    for (const socket of sockets) socket.destroy();
    await waitFor('others to be let in', () =>
      readiness(relay).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
    await endWhole(relay, talkers);
    expect(relay.isRunning).toBe(true);
  });

  test('[J5] no descriptor left at all: the journal goes on, and seals when there are some', async () => {
    const relay = await startRelay(await tempDir());
    const talkers = await join2(relay, 'arena');
    for (const talker of talkers) talker.say();
    await allStable(talkers);
    setLimit(relay.pid, '--nofile=10:1024');
    const sockets = await crowd(relay, 20);
    for (let i = 0; i < 100; i++) for (const talker of talkers) talker.say(20_000);
    await allStable(talkers);
    await waitFor('the seal to fail', () => /sealing fails and is tried again/.test(relay.log));
    expect(relay.log).toContain('EMFILE');
    for (const { session } of talkers) expect(session.status.connection).toBe('live');
    for (const socket of sockets) socket.destroy();
    setLimit(relay.pid, '--nofile=1024:1024');
    await untilGreen(relay);
    await endWhole(relay, talkers);
    expect(relay.isRunning).toBe(true);
    expect(await unfinished(relay.dataDir)).toEqual([]);
  });
});

/** Lets calls fail, kills the relay after that, and compares what was called stable with what a power loss would have left. */
async function failAndKill(inject: readonly string[]): Promise<void> {
  const relay = await startRelay(await tempDir(), ONE_THREAD);
  const strace = await Strace.attach(relay.pid, inject);
  const talkers = await join2(relay, 'arena');
  for (const talker of talkers) talker.start();
  await waitFor('the call to fail', async () => (await strace.injections()) > 0, 60_000);
  const before = talkers.map(({ said }) => said);
  await waitFor('what was said after that to be stable', () =>
    talkers.every(({ session }, i) => session.status.stable > (before[i] as number)),
  );
  expect(relay.isRunning).toBe(true);
  await relay.kill();
  await waitFor('everybody to notice', () => talkers.every(({ session }) => session.status.connection !== 'live'));
  const left = await survivors(relay.dataDir, await strace.calls());
  for (const { session } of talkers) {
    expect(session.status.stable).toBeGreaterThan(0);
    expect(left.get(session.player), session.player).toBeGreaterThanOrEqual(session.status.stable);
  }
  await relay.start();
  for (const talker of talkers) talker.stop();
  await allStable(talkers);
  await endWhole(relay, talkers);
}

async function startRelay(dataDir: string, around: ProcessOptions = {}): Promise<RelayProcess> {
  const relay = await RelayProcess.start(dataDir, [], around);
  onTestFinished(() => relay.kill());
  return relay;
}

async function join2(relay: RelayProcess, room: string): Promise<[Talker, Talker]> {
  return [await Talker.join(relay.wsUrl, room, 'a'), await Talker.join(relay.wsUrl, room, 'b')];
}

async function unfinished(dataDir: string): Promise<string[]> {
  return (await readdir(join(dataDir, 'journal'))).filter((name) => name.endsWith('.lmsp'));
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1_024;
}

/** Leaves that much of a disk. */
async function logBytes(dataDir: string): Promise<number> {
  const journal = join(dataDir, 'journal');
  const logs = (await readdir(journal)).filter((name) => name.endsWith('.log'));
  // One may go between the two.
  const sizes = logs.map((name) =>
    stat(join(journal, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

async function fillUp(path: string, freeBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path));
  await writeFile(path, Buffer.alloc(bavail * bsize - freeBytes, 1));
}

/** Peers that connect and say nothing. */
async function crowd({ url }: RelayProcess, count: number): Promise<Socket[]> {
  const port = Number(new URL(url).port);
  const sockets = Array.from({ length: count }, () => connectTcp(port, '127.0.0.1'));
  for (const socket of sockets) {
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => socket.destroy());
    socket.resume();
  }
  await waitFor('all of them to be connected or refused', () =>
    sockets.every(({ connecting, destroyed }) => !connecting || destroyed),
  );
  return sockets;
}
