import { emptyGameState, type GameState, type RecordedEvent } from '@gametape/shared/lmsp';
import { CodePointText } from '../../server/dist/cli/code-point-text.js';
import { type DemoPlayer, makeDemoSession } from '../../server/dist/cli/demo-session.js';

/** A session of two players as the seed would have written it down. */
export function demoRecording(seed: number): Record<string, unknown> & { events: RecordedEvent[] } {
  const events = makeDemoSession(seed)
    .flatMap((player) => eventsOf(player))
    .sort((a, b) => a.timestamp - b.timestamp);
  const checkpoints = events.flatMap(({ event }, index) =>
    event.type === 'checkpoint' ? [[String(event.data.name), index]] : [],
  );
  return {
    version: '1.0.0',
    player_id: 'ann',
    challenge_id: 'demo',
    created_at: 1_700_000_000.5,
    events,
    checkpoints: Object.fromEntries(checkpoints),
    duration: 60.25,
    success: true,
    final_code: '',
    final_time: 0,
  };
}

function eventsOf({ player, steps }: DemoPlayer): RecordedEvent[] {
  const text = new CodePointText('');
  let state: GameState = emptyGameState(player);
  let milliseconds = 0;
  return steps.map((step): RecordedEvent => {
    milliseconds += Math.round(step.afterMs);
    const timestamp = milliseconds / 1_000;
    state = { ...state, session_duration: timestamp };
    const record = (type: RecordedEvent['event']['type'], data: RecordedEvent['event']['data']) => {
      return { timestamp, event: { type, player_id: player, data }, game_state: state };
    };
    switch (step.does) {
      case 'type':
        text.edit(step.at, step.remove, step.insert);
        state = { ...state, current_code: text.toString(), cursor_position: [...text.cursor] };
        return record('keystroke', { char: step.insert || 'Backspace', modifiers: [] });
      case 'say':
        return record('player_message', { message: step.message });
      case 'checkpoint':
        return record('checkpoint', { name: step.name });
      default:
        state = { ...state, ...step.state };
        return record(step.event.type as RecordedEvent['event']['type'], step.event.data ?? {});
    }
  });
}
