import { EventType } from '@gametape/shared';
import {
  emptyGameState,
  parseCheckpoint,
  parseGameEvent,
  parseGameState,
  parseRecordedEvent,
  parseRecording,
} from '@gametape/shared/lmsp';
import { describe, expect, test } from 'vitest';
import { failureOf } from './session-maker.ts';

const EVENT = { type: 'keystroke', player_id: 'wings', data: { char: 'd', modifiers: [] } };
const RECORDED = { timestamp: 0.5, event: EVENT, game_state: emptyGameState('wings') };
const RECORDING = {
  version: '1.0.0',
  player_id: 'wings',
  challenge_id: 'c',
  created_at: 1.5,
  events: [RECORDED],
  checkpoints: { start: 0 },
  duration: 0.5,
  success: false,
  final_code: '',
  final_time: 0,
};

describe('what the seed has', () => {
  test('[L1] all 21 event types are events', () => {
    const types = Object.values(EventType);
    expect(types.map((type) => parseGameEvent({ ...EVENT, type }).type)).toEqual(types);
    expect(types).toHaveLength(21);
  });

  test('[L1] a state has the 15 fields of to_dict, in its order', () => {
    expect(Object.keys(emptyGameState('wings')).join()).toBe(
      'current_code,cursor_position,ast_tree,challenge_id,challenge_started_at,tests_passing,tests_total,hints_used,' +
        'player_id,mastery_levels,current_emotion,session_duration,challenges_completed,concepts_mastered,other_players',
    );
  });

  test('[L1] a state may lack what from_dict has defaults for', () => {
    const { ast_tree: _, current_emotion: __, other_players: ___, ...required } = emptyGameState('wings');
    expect(parseGameState(required)).toEqual(emptyGameState('wings'));
  });

  test('[L2] keys that the seed does not know are kept, in states and at the top', () => {
    const game_state = { ...RECORDED.game_state, mood: { level: 3 } };
    const recording = { ...RECORDING, room: 'lobby', events: [{ ...RECORDED, game_state }] };
    expect(parseRecording(recording)).toEqual(recording);
  });

  test('[L1] a checkpoint has the fields of the seed', () => {
    const checkpoint = { name: 'a', event_index: 0, timestamp: 0.5, state: emptyGameState('wings') };
    expect(parseCheckpoint(checkpoint)).toEqual(checkpoint);
  });
});

describe('what is wrong', () => {
  const cases: [name: string, change: object, message: string][] = [
    [
      'a type',
      { event: { ...EVENT, type: 'jump' } },
      'BAD_EVENT: event 3: event.type: expected one of the 21 event types, found "jump"',
    ],
    ['an event', { event: null }, 'BAD_EVENT: event 3: event: expected a map, found null'],
    ['data', { event: { ...EVENT, data: [1] } }, 'BAD_EVENT: event 3: event.data: expected a map, found [1]'],
    [
      'a player',
      { event: { ...EVENT, player_id: 7 } },
      'BAD_EVENT: event 3: event.player_id: expected a text, found 7',
    ],
    ['a timestamp', { timestamp: -1 }, 'BAD_RECORDING: event 3: timestamp: expected at least 0, found -1'],
    ['no timestamp', { timestamp: undefined }, 'BAD_RECORDING: event 3: timestamp: expected a number, found nothing'],
    ['no state', { game_state: undefined }, 'BAD_STATE: event 3: game_state: expected a map, found nothing'],
  ];
  test.each(cases)('[L4] an error names %s', async (_, change, message) => {
    expect(await failureOf(() => parseRecordedEvent({ ...RECORDED, ...change }, 'event 3'))).toBe(message);
  });

  const fields: [key: string, value: unknown, message: string][] = [
    ['current_code', undefined, 'game_state.current_code: expected a text, found nothing'],
    ['cursor_position', [1, 1.5], 'game_state.cursor_position[1]: expected a whole number, found 1.5'],
    ['cursor_position', [1, 2, 3], 'game_state.cursor_position: expected 2 items, found [1,2,3]'],
    ['ast_tree', 'x', 'game_state.ast_tree: expected a map, found "x"'],
    ['challenge_id', null, 'game_state.challenge_id: expected a text, found null'],
    ['challenge_started_at', '0', 'game_state.challenge_started_at: expected a number, found "0"'],
    ['tests_passing', true, 'game_state.tests_passing: expected a whole number, found true'],
    ['mastery_levels', { a: 'b' }, 'game_state.mastery_levels.a: expected a whole number, found "b"'],
    ['current_emotion', ['joy'], 'game_state.current_emotion: expected 2 items, found ["joy"]'],
    ['challenges_completed', ['a', 1], 'game_state.challenges_completed[1]: expected a text, found 1'],
    ['other_players', [1], 'game_state.other_players[0]: expected a map, found 1'],
    ['current_code', 'x'.repeat(3).split(''), 'game_state.current_code: expected a text, found ["x","x","x"]'],
  ];
  test.each(fields)('[L4] an error names the field %s and shows %j', async (key, value, message) => {
    const state = { ...emptyGameState('wings'), [key]: value };
    if (value === undefined) delete (state as Record<string, unknown>)[key];
    expect(await failureOf(() => parseGameState(state))).toBe(`BAD_STATE: ${message}`);
  });

  test('[L4] an error shows the start of a long value, on one line', async () => {
    const message = await failureOf(() =>
      parseGameState({ ...emptyGameState('wings'), tests_total: 'a\n'.repeat(500) }),
    );
    expect(message).toMatch(/^BAD_STATE: game_state\.tests_total: expected a whole number, found "a\\na\\n.*…$/);
    expect(message.length).toBeLessThan(140);
  });

  test('[L4] a checkpoint of an event that is not there is refused', async () => {
    const message = await failureOf(() => parseRecording({ ...RECORDING, checkpoints: { start: 1 } }));
    expect(message).toBe(
      'BAD_RECORDING: recording.checkpoints["start"]: expected the index of one of 1 events, found 1',
    );
  });

  test('[L4] an error of a recording names the event', async () => {
    const events = [RECORDED, { ...RECORDED, game_state: { ...RECORDED.game_state, hints_used: null } }];
    const message = await failureOf(() => parseRecording({ ...RECORDING, events }));
    expect(message).toBe('BAD_STATE: event 1: game_state.hints_used: expected a whole number, found null');
  });

  test('[L4] values nested deeper than a recording can hold are named', async () => {
    let deep: object = {};
    for (let i = 0; i < 20; i++) deep = { deep };
    const message = await failureOf(() => parseGameState({ ...emptyGameState('wings'), ast_tree: deep }));
    expect(message).toMatch(/^LIMIT_EXCEEDED: game_state\.ast_tree\.deep/);
  });
});
