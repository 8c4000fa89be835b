import type { Session } from '@gametape/client-sdk';
import { OfflineRoom } from './offline-room.ts';
import { type Trace, typeTrace, typingGaps, typistState } from './private-parts.ts';

const SEED = 1;
const MAX_GAP_MS = 2_000;

/** The pauses before each edit, idle ones cut as `gametape bots` cuts them. */
export function gapsOf(trace: Trace, seed = SEED): Float64Array {
  return typingGaps(trace.edits, { seed, maxGapMs: MAX_GAP_MS });
}

/** A room in which each trace has been typed by a bot of its own, at the times that the trace tells. */
export async function typeOffline(players: readonly { name: string; trace: Trace }[]): Promise<OfflineRoom> {
  const room = new OfflineRoom();
  for (const [index, { name, trace }] of players.entries()) {
    const player = room.join(name, typistState(name, trace));
    const seed = SEED + index;
    const gaps = gapsOf(trace, seed);
    let edits = 0;
    player.nowUs = (gaps[0] ?? 0) * 1_000;
    const onEdit = () => {
      player.nowUs += (gaps[++edits] ?? 0) * 1_000;
    };
    const signal = new AbortController().signal;
    // A typist uses nothing of a session that the offline player does not have.
    const session = player as Partial<Session> as Session;
    await typeTrace(session, trace, { gaps, speed: Number.POSITIVE_INFINITY, seed, signal, onEdit });
  }
  return room;
}
