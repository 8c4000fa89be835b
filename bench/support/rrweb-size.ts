import { pack } from '@rrweb/packer/pack';
import type { PeerEvent } from './peer-events.ts';

type RrwebEvent = Parameters<typeof pack>[0];

/** rrweb's type of events that its users make themselves. */
const CUSTOM = 5;

/** UTF-8 bytes of all events packed one by one, as `record({ packFn: pack })` hands them over: state as edits, not whole. */
export function rrwebSize(events: Iterable<PeerEvent>): number {
  let bytes = 0;
  for (const { player, time, line } of events) {
    const { event, ...rest } = line;
    const payload = { player, data: event?.data, ...rest };
    const packed: RrwebEvent = {
      type: CUSTOM,
      data: { tag: event?.type ?? 'state', payload },
      timestamp: Math.round(time / 1_000),
    };
    bytes += Buffer.byteLength(pack(packed));
  }
  return bytes;
}
