import {
  BytesSink,
  BytesSource,
  decodeBlockPayload,
  type GameEvent,
  JSON_PROFILE,
  LMSP_PROFILE,
  PORTABLE_COMPRESSION,
  type Profile,
  type State,
  walkBlocks,
} from '@gametape/shared';
import { emptyGameState, lmspJson, ndjsonLines } from '@gametape/shared/lmsp';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RedactOptions, redactRecording } from '../../server/dist/redaction/redact-recording.js';
import { anySession, expectIntact, newId, open, sessionBytes, stepsOf } from '../support/edited-recording.ts';
import { WrittenSession } from '../support/written-session.ts';

type Request = Omit<RedactOptions, 'recordingId' | 'at'>;

async function redact(bytes: Uint8Array, request: Request) {
  const sink = new BytesSink();
  const result = await redactRecording(await open(bytes), sink, {
    ...request,
    recordingId: newId(),
    at: 1_700_000_000,
  });
  return { ...result, bytes: sink.bytes() };
}

function literals(...all: string[]): Request {
  return { patterns: { literals: all, expressions: [], ignoreCase: false } };
}

const key = (char: string): GameEvent => ({ type: 'keystroke', data: { char, modifiers: [] } });
const typed = (at: number, insert: string, remove = 0) => ({ key: 'current_code', edit: { at, remove, insert } });

/** Everything that a file says, in every way it says it. */
async function saidBy(bytes: Uint8Array): Promise<{ name: string; bytes: Uint8Array }[]> {
  const said = [{ name: 'file', bytes }];
  const source = new BytesSource(bytes);
  for await (const { header, stored, offset } of walkBlocks(source, 16, bytes.length, PORTABLE_COMPRESSION)) {
    said.push({ name: `block at ${offset}`, bytes: decodeBlockPayload(header, stored, PORTABLE_COMPRESSION) });
  }
  const reader = await open(bytes);
  const steps = await stepsOf(bytes);
  for (const { data, type, state } of steps) {
    said.push({ name: 'step', bytes: Buffer.from(JSON.stringify([type, data, state])) });
  }
  for (const player of new Set(steps.map((step) => step.player))) {
    const chars = steps
      .filter((step) => step.player === player && step.type === 'keystroke')
      .map(({ data }) => data?.char);
    said.push({ name: 'typed', bytes: Buffer.from(chars.join('')) });
  }
  const { meta, summary, checkpoints, gaps, producers, markers } = reader;
  said.push({
    name: 'index',
    bytes: Buffer.from(JSON.stringify([meta, summary, checkpoints, gaps, [...producers.values()], markers])),
  });
  for (const lines of [ndjsonLines(reader), lmspJson(reader)]) {
    let text = '';
    for await (const line of lines) text += line;
    said.push({ name: 'export', bytes: Buffer.from(text) });
  }
  return said;
}

/** Where a text is found, in UTF-8 or UTF-16. */
async function findIn(bytes: Uint8Array, ...texts: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const said of await saidBy(bytes)) {
    for (const text of texts) {
      // One letter is anywhere by chance: it is only looked for where there are texts.
      if (text.length < 3 && /^(file|block)/.test(said.name)) continue;
      const buffer = Buffer.from(said.bytes);
      for (const encoded of [Buffer.from(text), Buffer.from(text, 'utf16le'), Buffer.from(text, 'utf16le').swap16()]) {
        if (buffer.includes(encoded)) found.push(`${text} in ${said.name}`);
      }
    }
  }
  return found;
}

/** Types each letter of a text at its place, in any order of letters, into a text that is there. */
async function typeScrambled(options: {
  profile: Profile;
  secret: string;
  order: readonly number[];
  around: string;
  noise: readonly string[];
}): Promise<Uint8Array> {
  const { profile, secret, order, around, noise } = options;
  const state: State =
    profile === LMSP_PROFILE ? { ...emptyGameState('ann'), current_code: around } : { current_code: around };
  const session = new WrittenSession(profile, { ann: state, bob: { ...state, current_code: 'other' } });
  const letters = [...secret];
  const middle = [...around].slice(0, [...around].length / 2).join('').length;
  const there: number[] = [];
  for (const index of [...letters.keys()].sort((a, b) => (order[a] ?? 0) - (order[b] ?? 0))) {
    const before = there
      .filter((other) => other < index)
      .reduce((sum, other) => sum + (letters[other]?.length ?? 0), 0);
    const letter = letters[index] as string;
    await session.add('ann', key(letter), typed(middle + before, letter));
    there.push(index);
    const word = noise[index];
    if (word === undefined) continue;
    await session.add('ann', key(word), typed(0, word));
    await session.add('ann', key('Backspace'), typed(0, '', word.length));
    await session.add('bob', { type: 'player_message', data: { message: `hi ${word}` } });
  }
  await session.add('ann', { type: 'checkpoint', data: { name: 'done' } });
  return session.finish({ success: true, final_code: `x${secret}` });
}

describe('redact', () => {
  const scrambled = fc.record({
    profile: fc.constantFrom<Profile>(JSON_PROFILE, LMSP_PROFILE),
    secret: fc.constantFrom('hunter2!', 'pass wörd', 's😀cr😀t', 'abcabcab'),
    order: fc.array(fc.nat(), { minLength: 8, maxLength: 8 }),
    around: fc.constantFrom('', 'x = 1\n', 'h'.repeat(40), `${'line of code\n'.repeat(60)}`),
    noise: fc.array(fc.constantFrom('h', 'hunter', 'zz', '😀'), { maxLength: 5 }),
  });

  test('[R4] a text that came about letter by letter, in any order, is nowhere in the file', async () => {
    await fc.assert(
      fc.asyncProperty(scrambled, fc.boolean(), async (options, isExpression) => {
        const { secret } = options;
        const bytes = await typeScrambled(options);
        expect(await findIn(bytes, secret)).not.toEqual([]);
        const patterns = isExpression
          ? {
              literals: [],
              expressions: [new RegExp(`${secret.slice(0, 1)}${secret.slice(1)}`, 'gu')],
              ignoreCase: false,
            }
          : { literals: [secret], expressions: [], ignoreCase: false };
        const redacted = await redact(bytes, { patterns });
        await expectIntact(redacted.bytes);
        expect(await findIn(redacted.bytes, secret)).toEqual([]);
        // All else is as it was: the same events, texts of the same length, and but a neighbour that was in a match gone.
        const [before, after] = [await stepsOf(bytes), await stepsOf(redacted.bytes)];
        expect(after.map(({ seq, pseq, type, stamp }) => [seq, pseq, type, stamp])).toEqual(
          before.map(({ seq, pseq, type, stamp }) => [seq, pseq, type, stamp]),
        );
        for (const [i, { state }] of before.entries()) {
          const [was, is] = [String(state.current_code), String(after[i]?.state.current_code)];
          expect(is.length).toBe(was.length);
          expect([...is.split('')].every((unit, at) => unit === was[at] || unit === '█')).toBe(true);
          const { current_code: _, ...others } = state;
          expect(after[i]?.state).toMatchObject(others);
        }
        const last = String(after.findLast(({ player }) => player === 'ann')?.state.current_code);
        expect(last.split('█').join('').length).toBeGreaterThanOrEqual(options.around.length - 4);
      }),
      { numRuns: 25 },
    );
  });

  test('a text that came about by taking out what was between is nowhere', async () => {
    const session = new WrittenSession(JSON_PROFILE, { ann: { current_code: '' } });
    for (const [at, char] of [...'secXXret'].entries()) await session.add('ann', key(char), typed(at, char));
    await session.add('ann', key('Delete'), typed(3, '', 2));
    await session.add('ann', { type: 'paste', data: { text: 'a secret too' } }, typed(0, 'a secret too'));
    const redacted = await redact(await session.finish(), literals('secret'));
    await expectIntact(redacted.bytes);
    expect(await findIn(redacted.bytes, 'secret')).toEqual([]);
    const steps = await stepsOf(redacted.bytes);
    expect(steps.map(({ state }) => state.current_code).slice(4)).toEqual(
      ['███XX', '███XX█', '███XX██', '███XX███', '██████', 'a ██████ too██████'].slice(0, 6),
    );
    expect(steps.map(({ data }) => data?.char ?? data?.text)).toEqual([
      '█',
      '█',
      '█',
      'X',
      'X',
      '█',
      '█',
      '█',
      'Delete',
      'a ██████ too',
    ]);
  });

  test('a text that is typed without a state, with mistakes taken back, is nowhere', async () => {
    const session = new WrittenSession(JSON_PROFILE, { ann: {}, bob: {} });
    for (const char of ['s', 'e', 'q', 'Backspace', 'c', 'Shift', 'r', 'e', 't', 'Enter'])
      await session.add('ann', key(char));
    for (const char of 'see cret') await session.add('bob', key(char));
    for (const letter of 'secret') await session.add('bob', { type: 'input', data: { letter } });
    const redacted = await redact(await session.finish(), literals('secret'));
    await expectIntact(redacted.bytes);
    const steps = await stepsOf(redacted.bytes);
    const chars = (player: string) =>
      steps.filter((step) => step.player === player).map(({ data }) => data?.char ?? data?.letter);
    expect(chars('ann')).toEqual(['█', '█', 'q', 'Backspace', '█', 'Shift', '█', '█', '█', 'Enter']);
    expect(chars('bob')).toEqual([...'see cret', ...'██████']);
  });

  test("a player's name is nowhere: ids, data, other players' states, keys, checkpoints, outcome, meta", async () => {
    const session = new WrittenSession(
      JSON_PROFILE,
      {
        'alice-w': { code: '', others: [] },
        bob: {
          code: '',
          others: [{ id: 'alice-w', code: 'x' }],
          scores: { 'alice-w': 3 },
          best: 'alice-w',
          'alice-w-seen': 1,
        },
      },
      { room: 'alice-w-room', lmsp: { player_id: 'alice-w', notes: ['by alice-w'] } },
    );
    await session.add('alice-w', { type: 'player_join', data: { name: 'Alice W.' } });
    await session.add('bob', { type: 'player_message', data: { message: 'hello alice-w, or Alice W.?' } });
    await session.add('bob', {
      type: 'hit-alice-w',
      data: { 'alice-w': 1, by: 'alice-w', list: ['alice-w', 'Alice W.'] },
    });
    for (const [at, char] of [...'alice-w'].entries()) {
      await session.add('bob', key(char), { key: 'code', edit: { at, remove: 0, insert: char } });
    }
    await session.add('bob', { type: 'checkpoint', data: { name: 'before alice-w' } });
    const bytes = await session.finish({ winner: 'alice-w', note: 'alice-w won' });
    const redacted = await redact(bytes, { player: 'alice-w', name: 'player-1' });
    await expectIntact(redacted.bytes);
    expect(await findIn(redacted.bytes, 'alice-w', 'Alice W.')).toEqual([]);
    const reader = await open(redacted.bytes);
    expect([...reader.producers.values()].map(({ player }) => player)).toEqual(['player-1', 'bob']);
    expect(reader.meta).toMatchObject({
      source: [{ verb: 'redact', recordingId: newId(1) }],
      redacted: [{ what: 'name', player: 'player-1', at: 1_700_000_000 }],
      lmsp: { player_id: 'player-1' },
    });
    const bob = (await stepsOf(redacted.bytes)).findLast(({ player }) => player === 'bob')?.state;
    expect(bob).toMatchObject({ others: [{ id: 'player-1', code: 'x' }], scores: { 'player-1': 3 }, best: 'player-1' });
    expect(bob?.code).toBe('███████');
    expect(reader.summary?.outcome).toMatchObject({ winner: 'player-1' });
  });

  test('players whose names have the name in them stay apart from each other and from all others', async () => {
    const players = ['ann', 'annabel', 'xxxabel', 'xxxabelx'];
    const session = new WrittenSession(JSON_PROFILE, Object.fromEntries(players.map((player) => [player, { at: 0 }])));
    for (const player of players) await session.add(player, { type: 'move', data: { of: 1 } });
    const { bytes } = await redact(await session.finish(), { player: 'ann', name: 'someone' });
    await expectIntact(bytes);
    const found = (await stepsOf(bytes)).map(({ player }) => player);
    expect(found).toEqual(['someone', 'xxxabelxx', 'xxxabel', 'xxxabelx']);
  });

  test("[L5] a player's text is nowhere, and the others' is all there", async () => {
    const ann = { ...emptyGameState('ann'), current_code: 'private = 1\n' };
    const bob = { ...emptyGameState('bob'), current_code: 'public = 2\n' };
    const session = new WrittenSession(LMSP_PROFILE, { ann, bob });
    for (const [at, char] of [...'moresecrets'].entries()) await session.add('ann', key(char), typed(12 + at, char));
    await session.add('ann', key('Enter'), typed(23, '\n'));
    await session.add('ann', { type: 'player_message', data: { message: 'whisper this' } });
    const others = [{ player_id: 'ann', current_code: 'private = 1\nmoresecrets' }];
    await session.add(
      'bob',
      { type: 'test_run', data: { tests_total: 3 } },
      { state: { ...bob, other_players: others } },
    );
    await session.add('bob', { type: 'player_message', data: { message: 'hello' } });
    await session.add('ann', {
      type: 'challenge_complete',
      data: { challenge_id: 'c1', success: true, final_code: 'private' },
    });
    const bytes = await session.finish({ success: true, final_code: 'private = 1' });
    const redacted = await redact(bytes, { player: 'ann', text: true });
    await expectIntact(redacted.bytes);
    expect(await findIn(redacted.bytes, 'private', 'moresecrets', 'secret', 'whisper')).toEqual([]);
    const steps = await stepsOf(redacted.bytes);
    expect(steps.find(({ player }) => player === 'ann')?.state).toMatchObject({
      player_id: 'ann',
      session_duration: 0,
    });
    const last = steps.findLast(({ player }) => player === 'ann')?.state;
    expect(last?.current_code).toBe('███████ █ █\n███████████\n');
    expect(steps.findLast(({ player }) => player === 'bob')).toMatchObject({
      data: { message: 'hello' },
      state: { current_code: 'public = 2\n', other_players: [{ player_id: 'ann' }] },
    });
    expect(steps.map(({ data }) => data?.char)).toContain('Enter');
  });

  test('what is found in any case, in nested values and in names of keys goes, and the rest of such places with it', async () => {
    const session = new WrittenSession(JSON_PROFILE, { ann: { files: { main: '' }, code: '' } });
    for (let length = 1; length <= 6; length++) {
      const main = 'SeCrEt'.slice(0, length);
      await session.add('ann', { type: 'typed', data: {} }, { state: { files: { main, b: 'plain' }, code: 'plain' } });
    }
    await session.add('ann', { type: 'typed', data: { secret: 1, more: { 'the SECRET': 'x' } } });
    const patterns = { literals: ['secret'], expressions: [], ignoreCase: true };
    const redacted = await redact(await session.finish(), { patterns });
    await expectIntact(redacted.bytes);
    expect(await findIn(redacted.bytes, 'SeCrEt', 'SeCrE', 'secret', 'SECRET')).toEqual([]);
    expect((await stepsOf(redacted.bytes)).at(-1)?.state).toEqual({
      files: { main: '██████', b: 'plain' },
      code: 'plain',
    });
  });

  test('any session, redacted of nothing that is in it, is the same session', async () => {
    await fc.assert(
      fc.asyncProperty(anySession, async (options) => {
        const bytes = await sessionBytes(options);
        const redacted = await redact(bytes, literals('nowhere to be found'));
        await expectIntact(redacted.bytes);
        expect(await stepsOf(redacted.bytes)).toEqual(await stepsOf(bytes));
        const [one, other] = [await open(redacted.bytes), await open(bytes)];
        expect({ ...one.summary, digest: '' }).toEqual({ ...other.summary, digest: '' });
        expect([one.checkpoints, one.gaps]).toEqual([other.checkpoints, other.gaps]);
        // And of what is in it, a recording that verifies, with as many events.
        const some = await redact(bytes, {
          player: 'player-0',
          name: 'nobody',
          text: true,
          ...literals('世', 'é', 'print'),
        });
        await expectIntact(some.bytes);
        expect(await findIn(some.bytes, 'player-0', '世', 'é', 'print')).toEqual([]);
        expect((await open(some.bytes)).summary?.events).toBe(other.summary?.events);
      }),
      { numRuns: 12 },
    );
  });
});
