import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  EventType,
  exportJson,
  importJson,
  loadCompressed,
  openRecording,
  Recorder,
  saveCompressed,
} from '@gametape/client-sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { readText } from '../support/sources.ts';

describe('the usage example of the seed document', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gametape-seed-'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  test('[L1, L2] records, saves, loads and inspects line for line', async () => {
    // Create recorder
    const recorder = new Recorder();
    recorder.start();

    // Record events
    recorder.record({
      type: EventType.CHALLENGE_START,
      player_id: 'wings',
      data: { challenge_id: 'container_add_exists' },
    });

    // Create checkpoint
    recorder.checkpoint('before_implementation');

    // Record more events
    recorder.record({ type: EventType.KEYSTROKE, player_id: 'wings', data: { char: 'd', modifiers: [] } });

    // Export recording
    const recording = recorder.export();
    const path = join(folder, 'session.lmsp.gz');
    await saveCompressed(recording, path);

    // Load recording
    const loaded = await loadCompressed(path);
    expect(loaded).toEqual(recording);

    // Inspect metadata
    expect(loaded.player_id).toBe('wings');
    expect(loaded.challenge_id).toBe('container_add_exists');
    expect(loaded.duration).toBeGreaterThanOrEqual(loaded.events[2]?.timestamp ?? Number.NaN);
    expect(loaded.success).toBe(false);

    // List checkpoints
    expect(Object.entries(loaded.checkpoints)).toEqual([['before_implementation', 1]]);
    for (const [name, index] of Object.entries(loaded.checkpoints)) {
      expect(loaded.events[index]?.event).toEqual({ type: 'checkpoint', player_id: 'wings', data: { name } });
    }

    // Get state at checkpoint
    const state = loaded.events[loaded.checkpoints.before_implementation ?? -1]?.game_state;
    expect(state?.current_code).toBe('');
  });

  test('the README shows the same lines', () => {
    const readme = readText('README.md');
    for (const line of [
      'const recorder = new Recorder();',
      "recorder.checkpoint('before_implementation');",
      'const recording = recorder.export();',
      "await saveCompressed(recording, 'session.lmsp.gz');",
      "const loaded = await loadCompressed('session.lmsp.gz');",
      'const state = loaded.events[loaded.checkpoints.before_implementation ?? 0]?.game_state;',
    ]) {
      expect(readme).toContain(line);
    }
  });
});

describe('Recorder', () => {
  test('[L1] pauses take no time, as in the TimestampManager of the seed', () => {
    let nowMs = 1_000;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    try {
      const recorder = new Recorder({ player: 'ann' });
      recorder.start();
      const recordAfter = (ms: number) => {
        nowMs += ms;
        recorder.record({ type: EventType.TEST_RUN, data: { tests_total: 3 } });
      };
      recordAfter(500);
      recorder.pause();
      recordAfter(2_000);
      recorder.resume();
      recordAfter(250);
      const { events, duration } = recorder.export();
      expect(events.map(({ timestamp }) => timestamp)).toEqual([0.5, 0.5, 0.75]);
      expect(events.map(({ game_state }) => game_state.session_duration)).toEqual([0.5, 0.5, 0.75]);
      expect(duration).toBe(0.75);
    } finally {
      clock.mockRestore();
    }
  });

  test('a checkpoint name can be taken once', () => {
    const recorder = new Recorder({ player: 'ann' });
    recorder.start();
    recorder.checkpoint('a');
    expect(() => recorder.checkpoint('a')).toThrow(expect.objectContaining({ code: 'NAME_TAKEN' }));
    expect(() => recorder.record({ type: 'no_such_type' })).toThrow(expect.objectContaining({ code: 'BAD_EVENT' }));
    expect(recorder.export().events).toHaveLength(1);
  });

  test('misuse is a TypeError', () => {
    expect(() => new Recorder().record({ type: 'test_run' })).toThrow(TypeError);
    const recorder = new Recorder();
    recorder.start();
    expect(() => recorder.start()).toThrow(TypeError);
    expect(() => recorder.checkpoint('who?')).toThrow(TypeError);
  });

  test('[L2] outcome, several players and their states come out of .json and .lmsp alike', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gametape-recorder-'));
    const recorder = new Recorder();
    recorder.start();
    for (const player_id of ['ann', 'bob']) {
      recorder.record({ type: 'challenge_start', player_id, data: { challenge_id: 'c1' } });
      const state = recorder.export().events.at(-1)?.game_state;
      recorder.record({ type: 'keystroke', player_id, data: { char: 'x', modifiers: ['shift'] } }, {
        ...state,
        current_code: `# ${player_id} 😀`,
      } as never);
    }
    recorder.finish({ success: true, final_code: 'x', final_time: 1.5 });
    const recording = recorder.export();
    expect(recording).toMatchObject({ success: true, final_code: 'x', final_time: 1.5 });
    await exportJson(recording, join(folder, 'a.json'));
    expect(await importJson(join(folder, 'a.json'))).toEqual(recording);
    const tape = await openRecording(await recorder.toBytes());
    const events = [];
    for await (const { time, player, type, data, state } of tape.events()) {
      events.push({ timestamp: time, event: { type, player_id: player, data }, game_state: state });
    }
    expect(events).toEqual(recording.events);
    expect(tape.complete).toBe(true);
    await rm(folder, { recursive: true, force: true });
  });
});
