import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Session } from '@gametape/client-sdk';
import type { State } from '@gametape/shared';
import { tappedPlatform } from './counting-platform.ts';
import { connectOn, NODE, type Trace, type TraceEdit, Typewriter, typistState } from './private-parts.ts';
import { gapsOf } from './trace-session.ts';

/** JSON of a long text takes long: one keystroke in so many is enough for a mean. */
const SAMPLE_EVERY = 50;
/** Far below what the SDK would drop: its clock runs fast here, and messages age by it. */
const MAX_PENDING_BYTES = 8 * 1024;

/** What one keystroke took, in bytes. */
export interface Keystroke {
  /** Of the text it was typed into, in code points. */
  readonly textLength: number;
  /** At most one character went and one came: a key was pressed, nothing was pasted or completed. */
  readonly isOneKey: boolean;
  /** Event and delta together. */
  readonly bodyBytes: number;
  /** WebSocket payload. */
  readonly messageBytes: number;
  /** The same keystroke as JSON, for some. */
  readonly peers: JsonPeers | undefined;
}

export interface JsonPeers {
  readonly edits: number;
  readonly changedKeys: number;
  readonly fullState: number;
}

/**
 * Types a trace into a real session, each keystroke in a message of its own, and counts what goes over its socket. Only the
 * clock is not real: it tells the times of the trace, so that stamps are as long as a typist's.
 */
export async function measureKeystrokes(url: string, room: string, trace: Trace): Promise<Keystroke[]> {
  const keystrokes: Keystroke[] = [];
  const gaps = gapsOf(trace);
  const startedAt = NODE.now();
  let traceUs = 0;
  let textLength = [...trace.startContent].length;
  let sent: { bodyBytes: number; messageBytes: number } | undefined;
  const platform = tappedPlatform(
    {
      up: (message, messageBytes) => {
        if (message.kind !== 'events-up') return;
        const [event, ...others] = message.events;
        if (!event || others.length > 0) throw new Error(`${message.events.length} events in a message, expected one`);
        sent = { bodyBytes: event.body.length, messageBytes };
      },
    },
    () => startedAt + traceUs,
  );
  const state = typistState('typist', trace);
  const session = await connectOn(platform, { url, room, player: 'typist', state, flushMs: 0 });
  const typewriter = new Typewriter(session, trace.startContent);
  for (const [index, edit] of trace.edits.entries()) {
    traceUs += (gaps[index] ?? 0) * 1_000;
    typewriter.type(edit);
    await nextTurn();
    if (!sent) throw new Error(`keystroke ${index}: no message was sent for it`);
    const inserted = [...edit.insert].length;
    const isOneKey = inserted <= 1 && edit.remove <= 1;
    textLength += inserted - edit.remove;
    const peers = index % SAMPLE_EVERY === SAMPLE_EVERY - 1 ? jsonPeers(edit, session, traceUs) : undefined;
    keystrokes.push({ textLength, isOneKey, ...sent, peers });
    sent = undefined;
    if (session.status.pendingBytes > MAX_PENDING_BYTES) await session.stable();
  }
  const { complete } = await session.end();
  if (!complete) throw new Error(`${room}: the recording is not complete`);
  return keystrokes;
}

function jsonPeers({ at, remove, insert }: TraceEdit, session: Session, traceUs: number): JsonPeers {
  const timestamp = traceUs / 1_000_000;
  const event = {
    type: 'keystroke',
    player_id: session.player,
    data: { char: insert === '' ? 'Backspace' : insert, modifiers: [] },
  };
  const state: State = { ...session.state, session_duration: timestamp };
  const { current_code, cursor_position, session_duration } = state;
  const bytesOf = (value: object) => Buffer.byteLength(JSON.stringify(value));
  return {
    edits: bytesOf({ timestamp, event, set: { cursor_position }, splice: { current_code: [[at, remove, insert]] } }),
    changedKeys: bytesOf({ timestamp, event, set: { current_code, cursor_position, session_duration } }),
    fullState: bytesOf({ timestamp, event, game_state: state }),
  };
}
