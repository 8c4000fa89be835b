import type { State } from '../event.ts';
import { LMSP_PROFILE } from '../profile/profile.ts';
import type { RecordingReader } from '../recording/recording-reader.ts';
import type { LiveState } from '../state/live-state.ts';
import type { JsonObject } from '../values/json.ts';
import { emptyGameState } from './schema.ts';

/** The seed's RecordedEvent (L1) as a recording gives it. In rooms of other profiles type and state are of any shape. */
export interface LmspEvent {
  /** Number of the event among the events of the recording. */
  readonly index: number;
  readonly seq: number;
  /** Seconds of play time (T7), or exactly what an imported recording said. */
  readonly timestamp: number;
  readonly event: { readonly type: string; readonly player_id: string; readonly data: JsonObject };
  /** The player's state after the event. */
  readonly game_state: State;
}

/**
 * The events of a recording in order, each with the whole state, one at a time (R6). Changes of a state alone show in the next
 * event. A player of an LMSP room who has no state yet has the empty one.
 */
export async function* lmspEvents(reader: RecordingReader): AsyncGenerator<LmspEvent> {
  const clock = reader.playClock();
  const states = new Map<string, LiveState>();
  let index = 0;
  for await (const { entry, body, context } of reader.steps()) {
    const { player } = context;
    // A new instance of a player's SDK has no state until it says so: until then the player's is the old one's.
    if (context.state.size > 0) states.set(player, context.state);
    const { event } = body;
    if (!event) continue;
    if (!reader.summary) clock.observe(entry.time, player, event);
    const state = states.get(player)?.toJson() ?? {};
    yield {
      index: index++,
      seq: entry.seq,
      timestamp: entry.exact ?? clock.playTime(entry.time) / 1_000_000,
      event: { type: event.type, player_id: player, data: event.data },
      game_state: reader.meta.profile === LMSP_PROFILE.name ? { ...emptyGameState(player), ...state } : state,
    };
  }
}
