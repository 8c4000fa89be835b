import { type DeltaOp, LiveState, LMSP_PROFILE, type State, type StateChange } from '@gametape/shared';
import { checkLmspChange, checkLmspEvent, emptyGameState } from '@gametape/shared/lmsp';
import { expect, test } from 'vitest';
import { failureOf } from './session-maker.ts';

/** Applies a change as the relay does, and says what the check thinks of it. */
function failureAfter(change: StateChange, before?: State): Promise<string> {
  const state = new LiveState(LMSP_PROFILE);
  if (before) state.apply({ form: 'keyframe', entries: Object.entries(before) }, 0);
  state.apply(change, 1);
  return failureOf(() => checkLmspChange(change, state));
}

function failureOfDelta(...ops: DeltaOp[]): Promise<string> {
  return failureAfter({ form: 'delta', ops }, { ...emptyGameState('wings'), note: 'x' });
}

const FINE = 'nothing was thrown';

test('[L4] live, an event has one of the 21 types', async () => {
  expect(await failureOf(() => checkLmspEvent({ type: 'rewind', data: {} }))).toBe(FINE);
  expect(await failureOf(() => checkLmspEvent({ type: 'jump', data: {} }))).toBe(
    'BAD_EVENT: event.type: expected one of the 21 event types, found "jump"',
  );
});

test('[L4] live, a keyframe is checked whole', async () => {
  const keyframe = (state: State): StateChange => ({ form: 'keyframe', entries: Object.entries(state) });
  expect(await failureAfter(keyframe(emptyGameState('wings')))).toBe(FINE);
  expect(await failureAfter(keyframe({ ...emptyGameState('wings'), cursor_position: [0] }))).toBe(
    'BAD_STATE: state.cursor_position: expected 2 items, found [0]',
  );
  expect(await failureAfter(keyframe({}))).toBe('BAD_STATE: state.current_code: expected a text, found nothing');
});

const deltas: [name: string, ops: DeltaOp[], message: string][] = [
  [
    'typing',
    [
      { op: 'splice', key: 'current_code', at: 0, remove: 0, insert: 'd' },
      { op: 'add', key: 'cursor_position', by: [0, 1] },
    ],
    FINE,
  ],
  ['a set that fits', [{ op: 'set', key: 'current_emotion', value: ['joy', 0.5] }], FINE],
  [
    'a set that does not',
    [{ op: 'set', key: 'tests_total', value: 'x' }],
    'BAD_STATE: state.tests_total: expected a whole number, found "x"',
  ],
  [
    'a nested change that fits',
    [{ op: 'nest', key: 'mastery_levels', path: ['a'], change: { op: 'set', value: 1 } }],
    FINE,
  ],
  [
    'a nested change that does not',
    [{ op: 'nest', key: 'mastery_levels', path: ['a'], change: { op: 'set', value: [] } }],
    'BAD_STATE: state.mastery_levels.a: expected a whole number, found []',
  ],
  [
    'a position too long',
    [{ op: 'nest', key: 'cursor_position', path: [], change: { op: 'splice', at: 2, remove: 0, insert: [3] } }],
    'BAD_STATE: state.cursor_position: expected 2 items, found [0,0,3]',
  ],
  [
    'a required key gone',
    [{ op: 'delete', key: 'challenge_id' }],
    'BAD_STATE: state.challenge_id: expected a value, found nothing; LMSP requires it',
  ],
  ['an optional key gone', [{ op: 'delete', key: 'ast_tree' }], FINE],
  [
    'a key of one’s own',
    [
      { op: 'set', key: 'mood', value: 1 },
      { op: 'splice', key: 'note', at: 1, remove: 0, insert: 'y' },
      { op: 'delete', key: 'note' },
    ],
    FINE,
  ],
  [
    'a text where none belongs',
    [
      { op: 'set', key: 'hints_used', value: '' },
      { op: 'splice', key: 'hints_used', at: 0, remove: 0, insert: '1' },
    ],
    'BAD_STATE: state.hints_used: expected a whole number, found "1"',
  ],
];
test.each(deltas)('[L4] live, a delta is checked by the keys it changes: %s', async (_, ops, message) => {
  expect(await failureOfDelta(...ops)).toBe(message);
});

test('[L4] live, deltas on a state that never was must set all of it', async () => {
  const set = (state: State): StateChange => ({
    form: 'delta',
    ops: Object.entries(state).map(([key, value]) => ({ op: 'set', key, value })),
  });
  expect(await failureAfter(set({ current_code: '' }))).toMatch(/^BAD_STATE: state\.cursor_position: expected a value/);
  expect(await failureAfter(set(emptyGameState('wings')))).toBe(FINE);
});
