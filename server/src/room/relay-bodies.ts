import {
  ByteWriter,
  EventType,
  encodeBody,
  type GameEvent,
  type JsonObject,
  type LiveState,
  type Vocabulary,
} from '@gametape/shared';

/** Why a player is gone. `dropped` means that its connection was lost and it did not return in time. */
export type LeaveReason = 'left' | 'dropped' | 'superseded' | 'ended';

/**
 * Whether an entry that the relay made is news to the player that it is about, who is not sent its own events: all are, but
 * for its coming and going. A rewind restores the states of most players without an event.
 */
export function isForOwner(type: string | undefined): boolean {
  return type !== EventType.PLAYER_JOIN && type !== EventType.PLAYER_LEAVE;
}

const writer = new ByteWriter();

/** Body of an event that the relay makes about a player: it uses that player's vocabulary and never adds to it. */
export function relayBody(vocabulary: Vocabulary, type: EventType, data: JsonObject, state?: Uint8Array): Uint8Array {
  encodeBody(writer, vocabulary, { event: { type, data } }, { editEnd: () => 0, learn: false });
  const event = writer.take();
  return state === undefined ? event : joinState(event, state);
}

/** Body of a keyframe that the relay makes, with an event or alone (T8). */
export function restoringBody(vocabulary: Vocabulary, state: LiveState, event?: GameEvent): Uint8Array {
  const entries = [...state.entries()].map(({ key, value }) => [key, value] as const);
  const body = { ...(event && { event }), change: { form: 'keyframe', entries } } as const;
  encodeBody(writer, vocabulary, body, { editEnd: () => 0, learn: false });
  return writer.take();
}

/**
 * An event without its change, which a rewind has overtaken. A delta without ops stands for it, so that it still counts as
 * the change that had to come.
 */
export function withoutChange(vocabulary: Vocabulary, event: GameEvent | undefined, hasChange: boolean): Uint8Array {
  const change = { form: 'delta', ops: [] } as const;
  const body = { ...(event && { event }), ...(hasChange && { change }) };
  encodeBody(writer, vocabulary, body, { editEnd: () => 0, learn: false });
  return writer.take();
}

/** Whether a body defines its template and teaches it nobody, as one that `withoutChange` made does where it has to. */
export function isSpelled([head = 0]: Uint8Array): boolean {
  return head >>> 2 === 1;
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
