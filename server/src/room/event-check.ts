import { type Body, EventType, GametapeError, type LiveState, type Profile } from '@gametape/shared';
import { checkLmspChange, checkLmspEvent } from '@gametape/shared/lmsp';

/** Refuses what a player may not record, or what does not fit the room's profile (L4). `state` is as the body left it. */
export function checkBody({ event, change }: Body, state: LiveState, profile: Profile): void {
  if (
    event?.type === EventType.PLAYER_JOIN ||
    event?.type === EventType.PLAYER_LEAVE ||
    event?.type === EventType.REWIND
  ) {
    throw new GametapeError('BAD_EVENT', `${event.type} is made by the relay, not by a player`);
  }
  if (profile.name !== 'lmsp') return;
  if (event) checkLmspEvent(event);
  if (change) checkLmspChange(change, state);
}
