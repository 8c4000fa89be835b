import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { type Live, openRecording, spectate } from '@gametape/client-sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gametape, startGametape, stop } from '../cli/gametape.ts';
import { askSeed, hasSeed } from '../lmsp/seed-side.ts';

const DATA = fileURLToPath(new URL('../../../shared/data', import.meta.url));
const PLAYERS = ['clownschool_flat', 'friendsforever_flat', 'rustcode'] as const;
const FILES = PLAYERS.map((player) => join(DATA, `${player}.json.gz`));

const missing = FILES.filter((file) => !existsSync(file));
if (missing.length > 0) console.warn(`SKIPPED: real editing sessions are not there: ${missing.join(', ')}`);

interface Trace {
  readonly startContent?: string;
  readonly endContent: string;
  readonly txns: readonly { readonly patches: readonly (readonly [at: number, remove: number, insert: string])[] }[];
}

interface Report {
  readonly players: readonly string[];
  readonly recording: { readonly id: string; readonly path: string; readonly complete: boolean };
}

describe.skipIf(missing.length > 0)('three real editing sessions as three players of one room', () => {
  let folder: string;
  let relay: Awaited<ReturnType<typeof startGametape>>;
  const traces = new Map<string, Trace>();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gametape-traces-'));
    relay = await startGametape(['serve', '--port', '0', '--data', join(folder, 'data'), '--json']);
    for (const [index, player] of PLAYERS.entries()) {
      traces.set(player, JSON.parse(gunzipSync(await readFile(FILES[index] as string)).toString()) as Trace);
    }
  });

  afterAll(async () => {
    await stop(relay.child);
    await rm(folder, { recursive: true, force: true });
  });

  async function runBots(room: string, ...args: string[]): Promise<Report> {
    const { code, stdout, stderr } = await gametape([
      ...['bots', '--url', relay.ws, '--room', room, '--trace', ...FILES, '--end', '--json'],
      ...args,
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout) as Report;
  }

  test('[J4, V1] every edit is there once and in order, the texts are exact, a late spectator agrees', {
    timeout: 180_000,
  }, async () => {
    const running = runBots('full', '--speed', 'max');
    const live = await spectateSoon(relay.ws, 'full');
    const atOnce = live.states;
    expect([...atOnce.keys()].sort()).toEqual([...PLAYERS]);
    const ended = new Promise((resolve) => live.on('end', resolve));
    const { recording } = await running;
    await ended;
    expect(recording.complete).toBe(true);

    const typed = new Map<string, string[]>(PLAYERS.map((player) => [player, []]));
    const types = new Map<string, Set<string>>(PLAYERS.map((player) => [player, new Set()]));
    const shownAtOnce = new Set<string>();
    const tape = await openRecording(recording.path);
    for await (const event of tape.events()) {
      types.get(event.player)?.add(event.type);
      if (event.type === 'keystroke') typed.get(event.player)?.push(event.data.char as string);
      const shown = atOnce.get(event.player);
      if (
        shown &&
        event.state.session_duration === shown.session_duration &&
        event.state.current_code === shown.current_code
      ) {
        shownAtOnce.add(event.player);
      }
    }
    const states = await tape.statesAt(Number.POSITIVE_INFINITY);
    for (const [player, { endContent, txns }] of traces) {
      const patches = txns.flatMap((txn) => txn.patches);
      expect(typed.get(player)).toEqual(patches.map(([, , insert]) => (insert === '' ? 'Backspace' : insert)));
      expect(states.get(player)?.current_code).toBe(endContent);
      expect(live.states.get(player)).toEqual(states.get(player));
      for (const type of ['player_join', 'player_leave', 'player_message', 'checkpoint', 'test_run']) {
        expect(types.get(player)).toContain(type);
      }
    }
    // What the spectator was shown at once is what each player's state was at one of its events.
    expect([...shownAtOnce].sort()).toEqual([...PLAYERS]);
    await tape.close();
    expect(await gametape(['verify', recording.path])).toMatchObject({ code: 0 });
  });

  test('after so many edits each the texts are those of that many patches', async () => {
    const { recording } = await runBots('part', '--speed', '200', '--limit', '300');
    const states = JSON.parse((await gametape(['state', recording.path, '--at', '1e9', '--json'])).stdout);
    for (const [player, { startContent = '', txns }] of traces) {
      const points = [...startContent];
      for (const [at, remove, insert] of txns.flatMap(({ patches }) => patches).slice(0, 300)) {
        points.splice(at, remove, ...insert);
      }
      expect(states[player].current_code).toBe(points.join(''));
    }
  });

  test.skipIf(!hasSeed())(
    "[L2] the seed's own Python loads it, and finds what `cat` prints",
    { timeout: 180_000 },
    async () => {
      const { recording } = await runBots('python', '--speed', 'max', '--limit', '250');
      const lines = (await gametape(['cat', recording.path, '--json', '--state'])).stdout.trimEnd().split('\n');
      const events = lines.map((line) => {
        const { timestamp, event, game_state } = JSON.parse(line);
        return { timestamp, event, game_state };
      });
      const info = JSON.parse((await gametape(['info', recording.path, '--json'])).stdout);
      const checkpoints = Object.fromEntries(
        info.checkpoints.map(({ name, eventIndex }: { name: string; eventIndex: number }) => [name, eventIndex]),
      );
      const expected = join(folder, 'expected.json');
      await writeFile(expected, JSON.stringify({ events, checkpoints, duration: info.durationS }));
      for (const suffix of ['.lmsp.gz', '.json']) {
        const converted = join(folder, `python${suffix}`);
        expect(await gametape(['convert', recording.path, '-o', converted])).toMatchObject({ code: 0 });
        askSeed('check', converted, expected);
      }
    },
  );
});

/** Joins as soon as the room is there with all its players. */
async function spectateSoon(url: string, room: string): Promise<Live> {
  for (;;) {
    try {
      const live = await spectate({ url, room });
      if (live.states.size === PLAYERS.length) return live;
      live.close();
    } catch (error) {
      if ((error as { code?: string }).code !== 'NOT_FOUND') throw error;
    }
  }
}
