import {
  CheckpointManager,
  emptyGameState,
  PrecisionTimer,
  type Recording,
  TimestampManager,
} from '@gametape/shared/lmsp';
import { expect, test } from 'vitest';
import { failureOf } from './session-maker.ts';

test('[L1] the timestamp manager stands still while paused, and takes the pauses away', () => {
  let now = 100;
  const manager = new TimestampManager(() => now);
  manager.start();
  const at = (seconds: number) => {
    now = 100 + seconds;
    return manager.currentTimestamp();
  };
  const seen = [at(2)];
  manager.pause();
  seen.push(at(5));
  manager.pause();
  seen.push(at(6));
  manager.resume();
  manager.resume();
  seen.push(at(7), manager.pausedDuration, manager.startTime);
  expect(seen).toEqual([2, 2, 2, 3, 4, 100]);
});

test('[L1] the precision timer gives marks and what lies between them', () => {
  const times = [1.5, 2, 4.25];
  const timer = new PrecisionTimer(() => times.shift() ?? 0);
  expect([timer.mark(), timer.mark(), timer.delta(0, 1), timer.offsets]).toEqual([0.5, 2.75, 2.25, [0.5, 2.75]]);
  expect(() => timer.delta(0, 2)).toThrow(TypeError);
});

test('[L1] a checkpoint names an event of the recording and gives its state back', () => {
  const recording = recordingOf(3);
  const manager = new CheckpointManager(recording);
  const state = { ...emptyGameState('wings'), hints_used: 2 };
  expect(manager.create('before', 2)).toEqual({ name: 'before', event_index: 2, timestamp: 2, state });
  expect([manager.restore('before'), manager.get('other'), recording.checkpoints]).toEqual([
    state,
    undefined,
    { before: 2 },
  ]);
});

test('[L1] a checkpoint’s name is its own, and its event is there', async () => {
  const manager = new CheckpointManager(recordingOf(1));
  manager.create('a', 0);
  expect(await failureOf(() => manager.create('a', 0))).toBe('NAME_TAKEN: checkpoint "a" already exists');
  expect(await failureOf(() => manager.restore('b'))).toBe('NOT_FOUND: checkpoint "b" not found');
  expect(await failureOf(() => manager.create('c', 1))).toBe(
    'NOT_FOUND: checkpoint "c": expected an index into 1 events, found 1',
  );
  expect(await failureOf(() => manager.create('__proto__', 0))).toMatch(/^BAD_VALUE: /);
});

function recordingOf(events: number): Pick<Recording, 'events' | 'checkpoints'> {
  return {
    events: Array.from({ length: events }, (_, index) => ({
      timestamp: index,
      event: { type: 'keystroke', player_id: 'wings', data: {} },
      game_state: { ...emptyGameState('wings'), hints_used: index },
    })),
    checkpoints: {},
  };
}
