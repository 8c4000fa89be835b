import { ByteWriter, type EventType, encodeBody, type JsonObject, type Vocabulary } from '@gametape/shared';

/** Why a player is gone. `dropped` means that its connection was lost and it did not return in time. */
export type LeaveReason = 'left' | 'dropped' | 'superseded' | 'ended';

const writer = new ByteWriter();

/** Body of an event that the relay makes about a player: it uses that player's vocabulary and never adds to it. */
export function relayBody(vocabulary: Vocabulary, type: EventType, data: JsonObject, state?: Uint8Array): Uint8Array {
  encodeBody(writer, vocabulary, { event: { type, data } }, { editEnd: () => 0, learn: false });
  const event = writer.take();
  return state === undefined ? event : joinState(event, state);
}

/**
 * The event of one body with the keyframe of another, which holds nothing else: PLAYER_JOIN carries the state that the
 * SDK encoded into its hello, as the same bytes (W7).
 */
function joinState(event: Uint8Array, state: Uint8Array): Uint8Array {
  const joined = new Uint8Array(event.length + state.length - 1);
  joined.set(event);
  // The low two bits of a body's first byte say which state part follows; a body without event is only those bits.
  joined[0] = ((event[0] as number) & ~3) | ((state[0] as number) & 3);
  joined.set(state.subarray(1), event.length);
  return joined;
}
