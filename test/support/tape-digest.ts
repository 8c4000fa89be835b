import type { Tape } from '@gametape/client-sdk';

/** What a recording says, asked in every way; the same for the same recording, wherever it is opened from. */
export interface TapeDigest {
  readonly about: unknown;
  readonly events: readonly unknown[];
  readonly filtered: readonly unknown[];
  readonly states: readonly unknown[];
}

/** Must use nothing from outside of it: it runs in a browser too. `every` thins the events out. */
export async function digestOf(tape: Tape, every: number): Promise<TapeDigest> {
  const { recordingId, room, duration, players, checkpoints, complete, eventCount } = tape;
  const events: unknown[] = [];
  for await (const { index, seq, time, player, type, data } of tape.events()) {
    if (index % every === 0) events.push([index, seq, time, player, type, data]);
  }
  const filtered: unknown[] = [];
  for await (const { index, state } of tape.events({ from: duration * 0.2, player: players[0]?.id ?? '' })) {
    filtered.push([index, state]);
    if (filtered.length === 20) break;
  }
  const states: unknown[] = [];
  for (const share of [0.9, 0, 0.5, 0.1, 2, 0.77])
    states.push(Object.fromEntries(await tape.statesAt(duration * share)));
  const about = { recordingId, room, duration, players, checkpoints, complete, eventCount };
  // As it is after it has left a browser.
  return JSON.parse(JSON.stringify({ about, events, filtered, states }));
}
