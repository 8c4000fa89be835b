import { type Acks, type EventDown, encodeMessage, LIMITS, type ProducerContext } from '@gametape/shared';
import { NO_ACKS, type Receiver } from './receiver.ts';
import type { RecentEntries } from './recent-entries.ts';
import type { Seat } from './seat.ts';

const BATCH_BYTES = LIMITS.messageBytes - 4_096;

export interface FanOutOptions {
  readonly recent: RecentEntries;
  /** Every producer of the room, by index. */
  readonly producers: readonly ProducerContext[];
  /** Last seq that may be shown: nothing later than the journal has (W3). */
  readonly upTo: number;
  /** Room time, in microseconds. */
  readonly now: number;
}

/** Where a receiver stands, and the index of its own producer: -1 for spectators. */
export type Standpoint = Pick<Receiver, 'position' | 'announced' | 'producer'>;

/** Events that travel in one message, and the producers that have to be announced before it. */
export interface Batch {
  readonly news: readonly Uint8Array[];
  /** Undefined where nothing of it is shown to this receiver. */
  readonly events: Uint8Array | undefined;
  readonly upTo: number;
  readonly announced: number;
}

/**
 * Shows one player everything between its position and `upTo`, in as few messages as it fits into (W7). The acks of its seat
 * ride along.
 *
 * @returns false when it is too far behind to be shown everything: it has to join afresh.
 */
export function fanOut(receiver: Receiver, seat: Seat, options: FanOutOptions): boolean {
  const { recent, upTo, now } = options;
  if (!receiver.isReady || receiver.position >= upTo || !receiver.keepsUp(now)) return true;
  if (!recent.covers(receiver.position)) return false;
  const acks = { accepted: seat.accepted, stable: seat.stable };
  for (const { news, events, upTo: position, announced } of batches(receiver, options, acks)) {
    for (const bytes of news) receiver.sendBytes(bytes);
    // A receiver of whose room only its own events are new still learns its acks, and where it stands.
    if (events) receiver.sendAcks(acks, events);
    else if (position === upTo) {
      receiver.sendAcks(acks, encodeMessage({ kind: 'events-down', acks, upTo, events: [] }));
    }
    receiver.announced = announced;
  }
  receiver.position = upTo;
  return true;
}

/** What shows everything between a receiver's position and `upTo`, which `recent` has to cover. The last one ends at `upTo`. */
export function* batches(
  { position, announced: told, producer: own }: Standpoint,
  { recent, producers, upTo }: Omit<FanOutOptions, 'now'>,
  acks: Acks = NO_ACKS,
): Generator<Batch> {
  let announced = told;
  let news: Uint8Array[] = [];
  let events: EventDown[] = [];
  let bytes = 0;
  const close = (end: number): Batch => {
    const message = events.length > 0 ? encodeMessage({ kind: 'events-down', acks, upTo: end, events }) : undefined;
    const batch = { news, events: message, upTo: end, announced };
    news = [];
    events = [];
    bytes = 0;
    return batch;
  };
  for (const { entry, restarts, isForOwner } of recent.between(position, upTo)) {
    const isOwn = entry.producer === own;
    if (isOwn && !isForOwner) continue;
    const isNews = !isOwn && (entry.producer >= announced || restarts);
    if (events.length > 0 && (isNews || bytes + entry.body.length > BATCH_BYTES)) yield close(entry.seq - 1);
    if (isNews) {
      const from = restarts ? Math.min(entry.producer, announced) : announced;
      for (const { index, player, instance } of producers.slice(from, entry.producer + 1)) {
        if (index !== own) news.push(encodeMessage({ kind: 'producer', index, player, instance }));
      }
      announced = Math.max(announced, entry.producer + 1);
    }
    events.push(entry);
    bytes += entry.body.length + 16;
  }
  yield close(upTo);
}
