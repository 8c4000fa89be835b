import { type EventDown, encodeMessage, LIMITS, type ProducerContext } from '@gametape/shared';
import type { Receiver } from './receiver.ts';
import type { RecentEntries } from './recent-entries.ts';
import type { Seat } from './seat.ts';

const BATCH_BYTES = LIMITS.messageBytes - 4_096;

export interface FanOutOptions {
  readonly recent: RecentEntries;
  /** Every producer of the room, by index. */
  readonly producers: readonly ProducerContext[];
  /** Last seq that is in the journal: nothing later is shown to anybody (W3). */
  readonly upTo: number;
  /** Room time, in microseconds. */
  readonly now: number;
}

/**
 * Shows one receiver everything between its position and `upTo`, in as few messages as it fits into (W7). The seat is its
 * own, whose acks ride along; undefined for spectators.
 *
 * @returns false when the receiver is too far behind to be shown everything: it has to join afresh.
 */
export function fanOut(
  receiver: Receiver,
  seat: Seat | undefined,
  { recent, producers, upTo, now }: FanOutOptions,
): boolean {
  if (!receiver.isReady || receiver.position >= upTo || !receiver.keepsUp(now)) return true;
  if (!recent.covers(receiver.position)) return false;
  const acks = { accepted: seat?.accepted ?? 0, stable: seat?.stable ?? 0 };
  let events: EventDown[] = [];
  let bytes = 0;
  const flush = (position: number) => {
    if (events.length > 0)
      receiver.sendAcks(acks, encodeMessage({ kind: 'events-down', acks, upTo: position, events }));
    events = [];
    bytes = 0;
  };
  for (const { entry, restarts, isForOwner } of recent.between(receiver.position, upTo)) {
    const isOwn = entry.producer === receiver.producer;
    if (isOwn && !isForOwner) continue;
    if (!isOwn && (entry.producer >= receiver.announced || restarts)) {
      flush(entry.seq - 1);
      announce(receiver, producers, entry.producer, restarts);
    }
    if (bytes + entry.body.length > BATCH_BYTES) flush(entry.seq - 1);
    events.push(entry);
    bytes += entry.body.length + 16;
  }
  // A receiver of whose room only its own events are new still learns its acks, and where it stands.
  const isAckOnly = events.length === 0 && seat !== undefined;
  if (isAckOnly) receiver.sendAcks(acks, encodeMessage({ kind: 'events-down', acks, upTo, events }));
  else flush(upTo);
  receiver.position = upTo;
  return true;
}

function announce(receiver: Receiver, producers: readonly ProducerContext[], upTo: number, again: boolean): void {
  const from = again ? Math.min(upTo, receiver.announced) : receiver.announced;
  for (const { index, player, instance } of producers.slice(from, upTo + 1)) {
    if (index !== receiver.producer) receiver.send({ kind: 'producer', index, player, instance });
  }
  receiver.announced = Math.max(receiver.announced, upTo + 1);
}
