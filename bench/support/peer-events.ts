import type { JsonObject, RecordingReader } from '@gametape/shared';
import { type NdjsonState, ndjsonLines } from '@gametape/shared/lmsp';

/** What one NDJSON line says, apart from when it was and of which player: a peer says that in ways of its own. */
export interface EventLine {
  readonly event?: { readonly type: string; readonly data: JsonObject };
  readonly state?: NdjsonState;
  readonly checkpoints?: readonly string[];
}

/** One entry of a recording, as peers are given it. */
export interface PeerEvent {
  readonly player: string;
  readonly seq: number;
  /** Room time, in microseconds. */
  readonly time: number;
  readonly line: EventLine;
  /** As our SDK encoded it. */
  readonly body: Uint8Array;
}

/** The entries of a recording, each with what its NDJSON line says of it. All in memory. */
export async function peerEvents(reader: RecordingReader): Promise<PeerEvent[]> {
  const events: PeerEvent[] = [];
  const lines = ndjsonLines(reader);
  // Peers are spared the header.
  await lines.next();
  for await (const { entry, context } of reader.steps()) {
    const { value, done } = await lines.next();
    if (done) throw new Error(`entry ${entry.seq}: no NDJSON line for it`);
    const { timestamp, player_id, event, ...rest } = JSON.parse(value) as {
      timestamp: number;
      player_id?: string;
      event?: { type: string; player_id: string; data: JsonObject };
    };
    if ((event?.player_id ?? player_id) !== context.player)
      throw new Error(`entry ${entry.seq} is of ${context.player}, its line is of another at ${timestamp} s`);
    const line: EventLine = { ...(event && { event: { type: event.type, data: event.data } }), ...rest };
    events.push({ player: context.player, seq: entry.seq, time: entry.time, line, body: entry.body });
  }
  return events;
}
