import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, readdir, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readRecording } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { tempDir } from '../support/temp-dir.ts';

const CHILD = fileURLToPath(new URL('../dist/simulation/crash-child.js', import.meta.url));
const ROUNDS = Number(process.env.GAMETAPE_ROUNDS ?? 0);
const SEED = Number(process.env.GAMETAPE_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** So often each operation is the last one, at another time of the session: `npm run chaos` may ask for every time. */
const TIMES_EACH = ROUNDS > 0 ? ROUNDS : 1;
const RECOVERIES = Math.max(1, Math.min(ROUNDS, 50));
const CRASHES_IN_A_ROW = 5;
const LIMIT_MS = 600_000 + ROUNDS * 120_000;

/** What a relay does to files while rooms are played, sealed and finished: it is killed at each of them. */
const POINTS = [
  'make journal directory',
  'sync data directory',
  'make recordings directory',
  'create segment',
  'sync journal directory',
  'write segment',
  'sync segment',
  'remove segment',
  'open unfinished file',
  'write unfinished file',
  'sync unfinished file',
  'remove unfinished file',
  'open recording',
  'truncate recording',
  'write recording',
  'sync recording',
  'rename recording',
  'sync recordings directory',
  'open mark',
  'remove mark',
];

describe('kill -9 at a file operation', { timeout: LIMIT_MS }, () => {
  test(`[J4] [J5] [R1] each of ${POINTS.length} in turn: everything accepted is there once, and every recording is whole`, async () => {
    console.log(`seed ${SEED} (GAMETAPE_SEED=${SEED} repeats it)`);
    const random = seededRandom(SEED);
    const counts = countOf((await runChild(['play', await tempDir()])).operations);
    expect([...counts.keys()].sort()).toEqual([...POINTS].sort());
    const cases = [...counts].flatMap(([point, count]) =>
      Array.from({ length: Math.min(count, TIMES_EACH) }, (_, time) => {
        const nth = TIMES_EACH >= count ? time + 1 : 1 + Math.floor(random() * count);
        return { point, nth, where: `seed ${SEED}: ${point}, the ${nth}th of ${count}` };
      }),
    );
    const next = cases.values();
    let killed = 0;
    const work = async () => {
      for (const { point, nth, where } of next) {
        const dataDir = await tempDir();
        const played = await runChild(['play', dataDir, point, String(nth)]);
        await expectRecovered(dataDir, [played], where);
        if (played.isKilled) killed++;
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, work));
    // Syncs and writes share what there is to do: now and then there are fewer of them.
    expect(killed).toBeGreaterThan(cases.length * 0.8);
  });

  test(`[J3] [J4] ${CRASHES_IN_A_ROW} times in a row while rooms are recovered and finished, in ${RECOVERIES} sessions: the same in the end`, async () => {
    const random = seededRandom(SEED + 1);
    const { operations } = await runChild(['play', await tempDir()]);
    for (let round = 0; round < RECOVERIES; round++) {
      const dataDir = await tempDir();
      const nth = String(1 + Math.floor(random() * operations.length * 0.9));
      const lives = [await runChild(['play', dataDir, '', nth])];
      for (let crash = 0; crash < CRASHES_IN_A_ROW; crash++) {
        const copy = await tempDir();
        await cp(dataDir, copy, { recursive: true });
        const mode = crash % 2 === 0 ? 'recover' : 'finish';
        const { operations: left } = await runChild([mode, copy]);
        const at = String(1 + Math.floor(random() * left.length));
        lives.push(await runChild([mode, dataDir, '', at]));
      }
      expect(lives.filter(({ isKilled }) => isKilled).length).toBeGreaterThan(CRASHES_IN_A_ROW / 2);
      await expectRecovered(dataDir, lives, `seed ${SEED}: round ${round}, played to operation ${nth}`);
    }
  });
});

interface Life {
  readonly operations: readonly string[];
  /** Recording ids by room. */
  readonly recordings: ReadonlyMap<string, string>;
  /** The last pseq that was accepted, by room and player. */
  readonly accepted: ReadonlyMap<string, number>;
  readonly ended: ReadonlySet<string>;
  readonly damage: readonly unknown[];
  readonly isKilled: boolean;
}

/** Starts the relay once more, lets it finish what is there, and looks at what it has made. */
async function expectRecovered(dataDir: string, lives: readonly Life[], where: string): Promise<void> {
  const last = await runChild(['finish', dataDir]);
  for (const { damage } of [...lives, last]) expect(damage, where).toEqual([]);
  const names = await readdir(join(dataDir, 'recordings'));
  expect(await readdir(join(dataDir, 'journal')), where).toEqual([]);
  expect(
    names.filter((name) => !/^[0-9A-Z]{26}\.lmsp$/.test(name)),
    where,
  ).toEqual([]);
  for (const { recordings, accepted, ended } of lives) {
    for (const [room, recordingId] of recordings) {
      const { own, summary } = await readRecording(await readFile(join(dataDir, 'recordings', `${recordingId}.lmsp`)));
      for (const player of ['a', 'b']) {
        const heard = own.filter((entry) => entry.player === player).map(({ data }) => data.n as number);
        expect(heard, `${where}: ${room}, ${player}`).toEqual(heard.map((_, i) => i + 1));
        expect(heard.length, `${where}: ${room}, ${player}`).toBeGreaterThanOrEqual(
          accepted.get(`${room} ${player}`) ?? 0,
        );
      }
      if (ended.has(room)) expect(summary.complete, `${where}: ${room}`).toBe(true);
    }
  }
}

async function runChild(args: readonly string[]): Promise<Life> {
  const child = spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [said, complained] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complained += text;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  const isAsExpected = code === 0 || (args.length > 2 && signal === 'SIGKILL');
  if (!isAsExpected) throw new Error(`${args.join(' ')}: ended with ${code ?? signal}: ${complained.slice(-2_000)}`);
  const lines = said.split('\n').filter((line) => line !== '');
  const all = lines.map((line) => JSON.parse(line) as Record<string, string> & { accepted?: number });
  const life = { operations: [] as string[], recordings: new Map(), accepted: new Map(), ended: new Set<string>() };
  const damage: unknown[] = [];
  for (const { operation, recordingId, room, player, accepted, ended, damage: found } of all) {
    if (operation !== undefined) life.operations.push(operation);
    if (recordingId !== undefined) life.recordings.set(room, recordingId);
    if (accepted !== undefined) life.accepted.set(`${room} ${player}`, accepted);
    if (ended !== undefined) life.ended.add(ended);
    if (found !== undefined) damage.push(found);
  }
  return { ...life, damage, isKilled: signal === 'SIGKILL' };
}

function countOf(operations: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const operation of operations) counts.set(operation, (counts.get(operation) ?? 0) + 1);
  return counts;
}
