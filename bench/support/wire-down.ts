import type { DownMessage } from '@gametape/shared';
import { type SocketTap, tappedPlatform } from './counting-platform.ts';
import { connectOn, spectateOn, typeTrace, typistState } from './private-parts.ts';
import { gapsOf } from './trace-session.ts';
import type { NamedTrace } from './traces.ts';

const SPEED = 10;
const EDITS = 500;

/** What one peer was sent. Messages that say nothing of others (acks, pings) count as bytes, not as messages. */
export interface Received {
  bytes: number;
  bodyBytes: number;
  events: number;
  messages: number;
}

export interface Downstream {
  readonly events: number;
  readonly player: Received;
  readonly spectator: Received;
}

/** Real players that type at the same time into one room, and one that only looks on: what the two kinds are sent. */
export async function measureDownstream(url: string, traces: readonly NamedTrace[]): Promise<Downstream> {
  const [player, spectator] = [new Counter(), new Counter()];
  const room = 'wire-down';
  const typists = await Promise.all(
    traces.map(async ({ name, trace }) => {
      const state = typistState(name, trace);
      const session = await connectOn(tappedPlatform({}), { url, room, player: name, state });
      return { session, trace, gaps: gapsOf(trace).subarray(0, EDITS) };
    }),
  );
  // One more player, who types nothing and so is sent everything.
  const listener = await connectOn(tappedPlatform(player), { url, room, player: 'listener' });
  const onlooker = await spectateOn(tappedPlatform(spectator), { url, room });
  player.start();
  spectator.start();
  const signal = new AbortController().signal;
  const options = { speed: SPEED, seed: 1, signal, onEdit: () => {} };
  const results = await Promise.all(
    typists.map(({ session, trace, gaps }) => typeTrace(session, trace, { ...options, gaps })),
  );
  await Promise.all(typists.map(({ session }) => session.stable()));
  await listener.end();
  onlooker.close();
  return {
    events: results.reduce((sum, { events }) => sum + events, 0),
    player: player.received,
    spectator: spectator.received,
  };
}

class Counter implements SocketTap {
  readonly received: Received = { bytes: 0, bodyBytes: 0, events: 0, messages: 0 };
  #isCounting = false;

  start(): void {
    this.#isCounting = true;
  }

  down(message: DownMessage, bytes: number): void {
    if (!this.#isCounting || message.kind === 'ended' || message.kind === 'ending') return;
    this.received.bytes += bytes;
    if (message.kind !== 'events-down' || message.events.length === 0) return;
    this.received.messages++;
    this.received.events += message.events.length;
    for (const { body } of message.events) this.received.bodyBytes += body.length;
  }
}
