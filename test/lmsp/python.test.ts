import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { BytesSink, EventType, type RecordingReader, type State } from '@gametape/shared';
import {
  DeltaCompressor,
  emptyGameState,
  type GameState,
  importLmsp,
  importNdjson,
  lmspJson,
  ndjsonLines,
} from '@gametape/shared/lmsp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seededRandom } from '../support/seeded-random.ts';
import { askSeed, hasSeed } from './seed-side.ts';
import { chunksOf, collect, openBytes, RECORDING_ID, SessionMaker } from './session-maker.ts';

const SESSIONS = 30;

describe.skipIf(!hasSeed())('with the Python of the seed', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gametape-lmsp-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('[L2] the seed loads what we write and finds every event, state and checkpoint', async () => {
    const { reader, expected } = await makeSession();
    const paths = [join(folder, 'ours.lmsp.gz'), join(folder, 'ours.json')] as const;
    await writeFile(paths[0], gzipSync(await collect(lmspJson(reader))));
    await writeFile(paths[1], await collect(lmspJson(reader, { indent: 2 })));
    await writeFile(join(folder, 'expected.json'), JSON.stringify(expected));
    for (const path of paths) askSeed('check', path, join(folder, 'expected.json'));
  });

  test('[L2] what the seed writes loads here, and written again it is the same JSON value', async () => {
    const first = Math.floor(Math.random() * 1e9);
    askSeed('generate', folder, String(first), String(SESSIONS));
    const pairs: string[] = [];
    for (let number = first; number < first + SESSIONS; number++) {
      for (const suffix of ['.lmsp.gz', '.json']) {
        const path = join(folder, `${number}${suffix}`);
        const packed = await readFile(path);
        const text = suffix === '.json' ? packed : gunzipSync(packed);
        const reader = await imported(text, `random session ${number}${suffix}`);
        const again = join(folder, `${number}-again.json`);
        await writeFile(again, await collect(lmspJson(reader, { indent: suffix === '.json' ? 2 : 0 })));
        pairs.push(path, again);
        if (suffix === '.json') pairs.push(path, await throughNdjson(reader, join(folder, `${number}-lines.json`)));
      }
    }
    askSeed('same', ...pairs);
  });

  test('[L2] a recording of ours that was written, loaded and written again is the same JSON value', async () => {
    const { reader } = await makeSession();
    const [once, twice] = [join(folder, 'once.json'), join(folder, 'twice.json')];
    await writeFile(once, await collect(lmspJson(reader)));
    await writeFile(twice, await collect(lmspJson(await imported(await readFile(once), 'our own'))));
    askSeed('same', once, twice);
  });

  test('[L1] the delta compressor gives what that of the seed gives', async () => {
    const random = seededRandom(7);
    const states = [emptyGameState('wings')];
    const keys = ['tests_passing', 'tests_total', 'hints_used', 'session_duration', 'challenge_started_at'];
    for (let i = 0; i < 200; i++) {
      const last = states.at(-1) as GameState;
      const changed = keys.filter(() => random() < 0.7).map((key) => [key, Math.floor(random() * 3)]);
      states.push({
        ...last,
        current_code: random() < 0.5 ? `${i}` : last.current_code,
        ...Object.fromEntries(changed),
      });
    }
    const path = join(folder, 'states.json');
    await writeFile(path, JSON.stringify(states));
    const compressor = new DeltaCompressor();
    const ours = states.map((state) => compressor.compress(state));
    expect(ours).toEqual(JSON.parse(askSeed('compress', path)));
    let base: State = {};
    const back = ours.map((compressed) => {
      base = compressor.decompress(compressed, base);
      return base;
    });
    expect(back).toEqual(states);
  });
});

async function imported(bytes: Uint8Array, what: string): Promise<RecordingReader> {
  const sink = new BytesSink();
  try {
    await importLmsp(() => chunksOf(bytes, 1_000), sink, { recordingId: RECORDING_ID });
  } catch (error) {
    throw new Error(`${what}: ${error}`, { cause: error });
  }
  return openBytes(sink);
}

async function throughNdjson(reader: RecordingReader, path: string): Promise<string> {
  const sink = new BytesSink();
  await importNdjson(chunksOf(await collect(ndjsonLines(reader)), 777), sink, { recordingId: RECORDING_ID });
  await writeFile(path, await collect(lmspJson(await openBytes(sink))));
  return path;
}

/** Two players who type, pause, message and finish; the relay adds joins of its own. And what Python should find. */
async function makeSession(): Promise<{ reader: RecordingReader; expected: object }> {
  const maker = new SessionMaker();
  const events: object[] = [];
  const states = new Map<string, GameState>();
  let pausedUs = 0;
  const put = async (player: string, timeUs: number, type: EventType, data: State, change?: Partial<GameState>) => {
    const before = states.get(player) ?? emptyGameState(player);
    const state = { ...before, ...change, session_duration: timeUs / 1e6 } as GameState;
    states.set(player, state);
    const checkpoint = type === EventType.CHECKPOINT ? { checkpoint: String(data.name) } : {};
    await maker.add({ player, timeUs, event: { type, data }, state, ...checkpoint });
    const event = { type, player_id: player, data };
    events.push({ timestamp: (timeUs - pausedUs) / 1e6, event, game_state: state });
  };
  for (const player of ['wings', 'Zoë 😀']) {
    const event = { type: EventType.PLAYER_JOIN, data: { name: player } };
    await maker.add({ player, timeUs: 0, event, byRelay: true });
    events.push({
      timestamp: 0,
      event: { type: event.type, player_id: player, data: event.data },
      game_state: emptyGameState(player),
    });
  }
  await put('wings', 1_000, EventType.CHALLENGE_START, { challenge_id: 'container_add_exists' });
  await put('Zoë 😀', 1_500, EventType.CHALLENGE_START, { challenge_id: 'other' }, { challenge_id: 'other' });
  let code = '';
  const random = seededRandom(3);
  for (let i = 0; i < 3_000; i++) {
    const player = random() < 0.5 ? 'wings' : 'Zoë 😀';
    const char = ['d', '😀', '\n', '"', '\u0000', '\u2028'][Math.floor(random() * 6)] as string;
    code = `${code}${char}`.slice(-400).toWellFormed();
    await put(
      player,
      2_000 + i * 101,
      EventType.KEYSTROKE,
      { char, modifiers: [] },
      {
        current_code: code,
        cursor_position: [i, i % 7],
        mastery_levels: i % 100 === 0 ? { lists: i } : {},
      },
    );
    if (i % 500 === 250) await put(player, 2_050 + i * 101, EventType.CHECKPOINT, { name: `cp ${i} é` });
  }
  await put('wings', 400_000, EventType.SPEED_CHANGE, { speed: 0 });
  await put('wings', 900_000, EventType.SPEED_CHANGE, { speed: 1 });
  // The pause itself took no play time.
  Object.assign(events.at(-1) as object, { timestamp: 0.4 });
  pausedUs = 500_000;
  await put('wings', 1_000_123, EventType.CHALLENGE_COMPLETE, { final_time: 1.25 });
  const expected = {
    version: '1.0.0',
    player_id: 'wings',
    challenge_id: 'container_add_exists',
    created_at: 1_700_000_000.5,
    events,
    checkpoints: Object.fromEntries(
      events.flatMap((item, index) => {
        const { type, data } = (item as { event: { type: string; data: { name: string } } }).event;
        return type === EventType.CHECKPOINT ? [[data.name, index]] : [];
      }),
    ),
    duration: 0.500123,
    success: true,
    final_code: states.get('wings')?.current_code,
    final_time: 1.25,
  };
  return { reader: await maker.finish(), expected };
}
