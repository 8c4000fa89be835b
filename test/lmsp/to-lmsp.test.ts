import { BytesSource, EventType, type JsonObject, RecordingReader } from '@gametape/shared';
import { emptyGameState, lmspEvents, lmspJson } from '@gametape/shared/lmsp';
import { expect, test } from 'vitest';
import { keptBytes } from '../support/kept-bytes.ts';
import { collect, RECORDING_ID, SessionMaker } from './session-maker.ts';

const KEY = { type: EventType.KEYSTROKE, data: { char: 'd', modifiers: [] } };

test('[L2] one line or indented, the text is that of JSON.stringify', async () => {
  const maker = new SessionMaker();
  await maker.add({
    player: 'wings',
    timeUs: 5,
    event: KEY,
    state: { ...emptyGameState('wings'), current_code: 'a\nb' },
  });
  const reader = await maker.finish();
  for (const indent of [0, 2, 4]) {
    const text = await collect(lmspJson(reader, { indent }));
    expect(text).toBe(JSON.stringify(JSON.parse(text), null, indent));
  }
});

test('[L2] what the seed lacks rides in extra keys at the top, before the events', async () => {
  const maker = new SessionMaker();
  await maker.add({ player: 'wings', timeUs: 0, event: KEY, state: emptyGameState('wings') });
  maker.addGap('wings', 2, 3);
  const reader = await maker.finish({ expected: new Map([['wings', 3]]), endedAt: 2_500_000 });
  const document = JSON.parse(await collect(lmspJson(reader)));
  expect(document).toMatchObject({
    recording_id: RECORDING_ID,
    room: 'lobby',
    profile: 'lmsp',
    complete: false,
    players: [{ id: 'wings', events: 1, expected: 3, received: 1, gaps: [[2, 3]] }],
    duration: 2.5,
  });
  expect(Object.keys(document).indexOf('players')).toBeLessThan(Object.keys(document).indexOf('events'));
});

test('[L2] success, final_code and final_time are what session.end said', async () => {
  const maker = new SessionMaker();
  const complete = { type: EventType.CHALLENGE_COMPLETE, data: { success: true } };
  await maker.add({
    player: 'wings',
    timeUs: 1_000_000,
    event: complete,
    state: { ...emptyGameState('wings'), current_code: 'x' },
  });
  const outcome = { success: false, final_code: 'y', final_time: 9.5 };
  const reader = await maker.finish({ outcome });
  expect(JSON.parse(await collect(lmspJson(reader)))).toMatchObject(outcome);
});

test('[L2] without it they come from the last CHALLENGE_COMPLETE, and without that they are the seed’s defaults', async () => {
  const made = [];
  const cases: JsonObject[][] = [[], [{}], [{ success: true }, { success: false, final_code: 'z', final_time: 3 }]];
  for (const completes of cases) {
    const maker = new SessionMaker();
    const state = { ...emptyGameState('wings'), current_code: 'x', challenge_id: 'c' };
    await maker.add({ player: 'wings', timeUs: 500_000, event: KEY, state });
    for (const data of completes) {
      await maker.add({
        player: 'wings',
        timeUs: 1_000_000,
        event: { type: EventType.CHALLENGE_COMPLETE, data },
        state,
      });
    }
    const { success, final_code, final_time, challenge_id } = JSON.parse(await collect(lmspJson(await maker.finish())));
    made.push([success, final_code, final_time, challenge_id]);
  }
  expect(made).toEqual([
    [false, '', 0, 'c'],
    [true, 'x', 1, 'c'],
    [false, 'z', 3, 'c'],
  ]);
});

test('[L2] changes of the state alone are no events, and show in the next one', async () => {
  const maker = new SessionMaker();
  await maker.add({ player: 'wings', timeUs: 0, event: { type: EventType.PLAYER_JOIN, data: {} }, byRelay: true });
  await maker.add({ player: 'wings', timeUs: 1, state: { ...emptyGameState('wings'), current_code: 'a' } });
  await maker.add({ player: 'wings', timeUs: 2, event: KEY, checkpoint: 'here' });
  const reader = await maker.finish();
  const found = [];
  for await (const { index, game_state } of lmspEvents(reader)) found.push([index, game_state.current_code]);
  expect(found).toEqual([
    [0, ''],
    [1, 'a'],
  ]);
  expect(JSON.parse(await collect(lmspJson(reader))).checkpoints).toEqual({ here: 1 });
});

test('[L5] a game that is not LMSP is written in the same shape', async () => {
  const maker = new SessionMaker({ profile: 'json' });
  await maker.add({ player: 'p', timeUs: 250_000, event: { type: 'jump', data: { high: true } }, state: { hp: 3 } });
  const document = JSON.parse(await collect(lmspJson(await maker.finish())));
  expect(document.events).toEqual([
    { timestamp: 0.25, event: { type: 'jump', player_id: 'p', data: { high: true } }, game_state: { hp: 3 } },
  ]);
});

test('[R3] a recording that was never finished is written as far as it goes, and says so', async () => {
  const maker = new SessionMaker();
  for (let i = 0; i < 9_000; i++) {
    const state = { ...emptyGameState('wings'), hints_used: i };
    await maker.add({ player: 'wings', timeUs: i * 10, event: KEY, state, ...(i === 7 && { checkpoint: 'seven' }) });
  }
  const { source, blocks, bytes } = await maker.finish();
  const cut = (await source.read(0, bytes)).slice(0, (blocks[1]?.offset ?? 0) + 50);
  const document = JSON.parse(await collect(lmspJson(await RecordingReader.open(new BytesSource(cut)))));
  expect(document).toMatchObject({
    complete: false,
    checkpoints: { seven: 7 },
    players: [{ id: 'wings', events: 8_192, expected: null }],
    duration: 0.08191,
  });
  expect(document.events).toHaveLength(8_192);
});

test('[R6] writing 50 MB of JSON takes memory that does not grow with them', async () => {
  const maker = new SessionMaker();
  for (let i = 0; i < 2_500; i++) {
    const state = { ...emptyGameState('wings'), current_code: `${'print("hello")\n'.repeat(1_250)}${i}` };
    await maker.add({ player: 'wings', timeUs: i * 1_000, event: KEY, state });
  }
  const reader = await maker.finish();
  const start = keptBytes();
  let [length, looks, top] = [0, 0, 0];
  for await (const piece of lmspJson(reader)) {
    length += piece.length;
    if (length < (looks + 1) * 1_000_000) continue;
    looks++;
    top = Math.max(top, keptBytes() - start);
  }
  expect(looks).toBeGreaterThan(40);
  expect(length).toBeGreaterThan(50_000_000);
  expect(top).toBeLessThan(10_000_000);
});
