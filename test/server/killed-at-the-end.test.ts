import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect, type Session } from '@gametape/client-sdk';
import { describe, expect, test } from 'vitest';
import { RelayProcess, readRecording } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const GAMETAPE = fileURLToPath(new URL('../../server/bin/gametape.mjs', import.meta.url));
const MESSAGES = 4_000;

describe('kill -9 at the end and at the start', () => {
  test('[J4] [R1] while a recording is being finished: one recording in the end, whole', async () => {
    const random = seededRandom(4);
    for (let round = 0; round < 4; round++) {
      const dataDir = await tempDir();
      const relay = await RelayProcess.start(dataDir);
      const session = await talk(relay, `room-${round}`);
      // From the moment of the request to after the answer, as chance has it.
      const ended = session.end().catch((error: unknown) => error);
      await new Promise((resolve) => setTimeout(resolve, random() * 250));
      await relay.kill();
      await relay.start();
      const path = relay.recordingPath(session.recordingId);
      await ended;
      await waitFor('the journal to be empty', async () => (await unfinished(dataDir)).length === 0);
      expect(await readdir(join(dataDir, 'recordings')), `round ${round}`).toEqual([`${session.recordingId}.lmsp`]);
      const { own, summary } = await readRecording(await readFile(path));
      expect(own.map(({ data }) => data.message)).toEqual(messages());
      expect(summary.complete, `round ${round}`).toBe(true);
      await relay.kill();
    }
  });

  test('[J3] [J4] five times in a row while rooms are being recovered: they all come back', async () => {
    const random = seededRandom(5);
    const dataDir = await tempDir();
    const relay = await RelayProcess.start(dataDir);
    const rooms = Array.from({ length: 8 }, (_, i) => `room-${i}`);
    const sessions = await Promise.all(rooms.map((room) => talk(relay, room)));
    await relay.kill();
    for (let kill = 0; kill < 5; kill++) await startAndKill(dataDir, 150 + random() * 400);
    await relay.start();
    for (const session of sessions) {
      await waitFor('the session to be back', () => session.status.connection === 'live');
      session.say('still here');
      const summary = await session.end();
      expect(summary.complete).toBe(true);
      const { own } = await readRecording(await readFile(relay.recordingPath(summary.recordingId)));
      expect(own.map(({ data }) => data.message)).toEqual([...messages(), 'still here']);
    }
    await relay.kill();
  });
});

async function talk(relay: RelayProcess, room: string): Promise<Session> {
  const session = await connect({ url: relay.wsUrl, room, player: 'a', profile: 'json' });
  for (const message of messages()) session.say(message);
  await session.stable();
  return session;
}

function messages(): string[] {
  return Array.from({ length: MESSAGES }, (_, i) => `t${i}`);
}

async function unfinished(dataDir: string): Promise<string[]> {
  return (await readdir(join(dataDir, 'journal'))).filter((name) => name.endsWith('.lmsp'));
}

async function startAndKill(dataDir: string, afterMs: number): Promise<void> {
  const args = [GAMETAPE, 'serve', '--port', '0', '--data', dataDir];
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  child.kill('SIGKILL');
  await exited;
}
