import type { McapMessage } from './mcap-file.ts';
import type { PeerEvent } from './peer-events.ts';

/** How events become messages. */
export type McapLayout = (event: PeerEvent) => McapMessage;

/** State as edits, in JSON; one channel a player. */
export const editsByPlayer: McapLayout = (event) => messageOf(event, event.player, json(event.line));

/** The same with one channel a player and event type, so that no message says its type. */
export const editsByPlayerAndType: McapLayout = (event) => {
  const { event: told, ...line } = event.line;
  return messageOf(event, `${event.player}/${told?.type ?? ''}`, json({ data: told?.data, ...line }));
};

/** Our own binary bodies; one channel a player. */
export const bodiesByPlayer: McapLayout = (event) => messageOf(event, event.player, event.body);

export function* inLayout(events: Iterable<PeerEvent>, layout: McapLayout): Generator<McapMessage> {
  for (const event of events) yield layout(event);
}

export function messageOf({ seq, time }: PeerEvent, topic: string, data: Uint8Array): McapMessage {
  return { topic, sequence: seq, logTime: nanoseconds(time), data };
}

/** Of microseconds. */
export function nanoseconds(time: number): bigint {
  return BigInt(time) * 1_000n;
}

export function json(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
