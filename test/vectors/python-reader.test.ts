import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  BodyEncoder,
  BytesSink,
  BytesSource,
  crc32,
  diff,
  type GameEvent,
  JSON_PROFILE,
  LMSP_PROFILE,
  RecordingReader,
  RecordingWriter,
} from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyData, anyState, anyStateEdit, editState } from '../support/arbitraries.ts';
import { describeRecording } from '../support/describe-recording.ts';
import { withoutPython } from '../support/python.ts';
import { tempDir } from '../support/temp-dir.ts';
import { recordingId } from '../support/typed-session.ts';
import { WrittenSession } from '../support/written-session.ts';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const SCRIPT = `${FOLDER}read_lmsp.py`;
const NAMES = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.lmsp'))
  .map((file) => file.slice(0, -'.lmsp'.length));

describe.skipIf(withoutPython('the reader written from FORMAT.md and DELTA.md'))(
  'the Python reader',
  { timeout: 180_000 },
  () => {
    test('[R5] reads every vector as it was written, and proves it', () => {
      const found = readInPython(NAMES.map((name) => `${FOLDER}${name}.lmsp`));
      const expected = NAMES.map((name) => JSON.parse(readFileSync(`${FOLDER}${name}.json`, 'utf8')));
      expect(found).toEqual(expected);
    });

    test('[R5] [D1] [D5] reads any session as this reader does', async () => {
      const folder = await tempDir();
      const sessions = fc.sample(anySession, { numRuns: 30, seed: 3 });
      const recordings = await Promise.all(sessions.map(write));
      const paths = recordings.map((_, index) => `${folder}/${index}.lmsp`);
      for (const [index, path] of paths.entries()) writeFileSync(path, recordings[index] as Uint8Array);
      const found = readInPython(paths);
      for (const [index, bytes] of recordings.entries()) {
        const reader = await RecordingReader.open(new BytesSource(bytes));
        expect(found[index]).toEqual(JSON.parse(JSON.stringify(await describeRecording(reader))));
      }
    });

    test('[R1] reads later keyframes of every form as this reader does', async () => {
      const bytes = await longSession();
      const reader = await RecordingReader.open(new BytesSource(bytes));
      const { content } = await reader.readBlock(0);
      // Of each player: without a state, all of it, changes of it.
      expect(new Set([...content.laterKeyframes()].map(({ context }) => context.player)).size).toBe(3);
      const path = `${await tempDir()}/long.lmsp`;
      writeFileSync(path, bytes);
      expect(readInPython([path])).toEqual([JSON.parse(JSON.stringify(await describeRecording(reader)))]);
    });

    test('[R3] does not call a recording intact that has a bit flipped in any byte', async () => {
      const folder = await tempDir();
      const whole = readFileSync(`${FOLDER}minimal.lmsp`);
      const paths = Array.from({ length: whole.length }, (_, at) => `${folder}/${at}.lmsp`);
      for (const [at, path] of paths.entries()) {
        const bytes = Uint8Array.from(whole);
        bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
        writeFileSync(path, bytes);
      }
      const { stdout } = spawnSync('python3', ['-B', SCRIPT, '--verify', ...paths], { encoding: 'utf8' });
      expect(linesOf(stdout).filter((line) => line.endsWith(': intact'))).toEqual([]);
      expect(linesOf(stdout)).toHaveLength(whole.length);
    });
  },
);

const anyStep = fc.record({
  player: fc.nat({ max: 2 }),
  event: fc.option(
    fc.record({ type: fc.constantFrom('keystroke', 'move', 'speed_change', 'player_leave'), data: anyData }),
  ),
  edit: anyStateEdit,
  seconds: fc.option(fc.integer({ min: 0, max: 3_000_000 })),
  isLost: fc.nat({ max: 40 }).map((number) => number === 0),
});

const anySession = fc.record({
  profile: fc.constantFrom(JSON_PROFILE, LMSP_PROFILE),
  states: fc.array(anyState, { minLength: 3, maxLength: 3 }),
  steps: fc.array(anyStep, { minLength: 20, maxLength: 120, size: 'max' }),
  perBlock: fc.integer({ min: 2, max: 50 }),
});
type Session = typeof anySession extends fc.Arbitrary<infer Value> ? Value : never;

/** What three SDKs and a relay would have recorded. */
async function write({ profile, states, steps, perBlock }: Session): Promise<Uint8Array> {
  const sink = new BytesSink();
  const meta = { recordingId: recordingId(9), room: 'any', profile: profile.name, createdAt: 1 };
  const writer = new RecordingWriter(sink, meta, { blockLimits: { entries: perBlock, bytes: 65_536 } });
  const players = states.map((state, index) => {
    writer.addProducer({ index, player: `player-${index}`, instance: 'one' });
    const bodies = new BodyEncoder(profile, crc32);
    bodies.replaceState({ ...state, session_duration: index / 3 }, 0);
    return { index, bodies, pseq: 0 };
  });
  let [seq, time] = [0, 0];
  for (const { player, event, edit, seconds, isLost } of steps) {
    const one = players[player] as (typeof players)[number];
    const { bodies, index } = one;
    time += edit.length * 50_000 + (edit.by & 1023);
    bodies.change(diff(bodies.state, editState(bodies.state.toJson(), edit), profile.clockKeys), time);
    if (seconds !== null && profile.clockKeys.size > 0) {
      const [key, isStill] = ['session_duration', seconds % 2 === 0];
      if (isStill) bodies.change([{ op: 'set', key, value: seconds / 1e6 }], time);
      else if (typeof bodies.state.get(key) === 'number') bodies.change([{ op: 'add', key, by: [seconds] }], time);
    }
    if (isLost) {
      const firstPseq = one.pseq + 1;
      one.pseq += 2;
      writer.addGap({ producer: index, firstPseq, lastPseq: firstPseq + 1, reason: 'lost' });
      bodies.restart();
    }
    const told: GameEvent | undefined = event ?? (bodies.hasPending ? undefined : { type: 'still', data: {} });
    const stamp = time - index * 1_000;
    const body = bodies.encode(told, stamp);
    const place = { seq: ++seq, producer: index, pseq: ++one.pseq, time, hlc: seq % 3, stamp };
    await writer.add({ ...place, body });
    if (seq % 25 === 0) writer.addCheckpoint(`checkpoint-${seq}`, place);
  }
  await writer.finish();
  return sink.bytes();
}

/** One edits a long text, one has no state, one gets a new key. */
async function longSession(): Promise<Uint8Array> {
  const long = 'é😀x\n'.repeat(20);
  const session = new WrittenSession(JSON_PROFILE, { ann: { text: long, n: 1 }, bob: {}, cat: { a: 1 } });
  for (let index = 0; index < 3_300; index++) {
    const char = index % 7 === 0 ? '😀' : 'y';
    const event = { type: 'keystroke', data: { char, modifiers: [] } };
    const name = ['ann', 'bob', 'cat'][index % 3] as string;
    const edit = { at: 50, remove: 0, insert: char };
    const grown = index > 400 && index < 410 ? { state: { a: 2, b: [index] } } : undefined;
    await session.add(name, event, name === 'ann' ? { key: 'text', edit } : name === 'cat' ? grown : undefined);
  }
  return await session.finish();
}

function readInPython(paths: readonly string[]): unknown[] {
  const output = execFileSync('python3', ['-B', SCRIPT, ...paths], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  return linesOf(output).map((line) => JSON.parse(line));
}

function linesOf(text: string): string[] {
  return text.split('\n').filter(Boolean);
}
