import type { CheckpointRecord, PlayClock, ProducerContext, Profile, RecordingMeta } from '@gametape/shared';
import type { RoomClock } from '../timeline/clock.ts';
import type { RecentEntry } from './recent-entries.ts';
import type { RoomJournalOptions } from './room-journal.ts';

/** A room as it comes back after a restart, or as it begins. */
export interface RoomStart {
  readonly meta: RecordingMeta;
  readonly profile: Profile;
  readonly epoch: number;
  readonly clock: RoomClock;
  readonly journal: Pick<RoomJournalOptions, 'journal' | 'lastSealed' | 'sealing'>;
  readonly headSeq: number;
  /** Entries up to `headSeq` that a client may still have to be shown, by consecutive seq. */
  readonly recent: readonly Pick<RecentEntry, 'entry' | 'restarts'>[];
  /** Last seq of each earlier epoch: a position of one of them is still good up to there (W4). */
  readonly epochEnds: ReadonlyMap<number, number>;
  readonly producers: readonly RestoredProducer[];
  readonly checkpoints: ReadonlyMap<string, CheckpointRecord>;
  readonly playClock: PlayClock;
  readonly events: number;
}

/** What a journal says of a producer. */
export interface RestoredProducer {
  readonly context: ProducerContext;
  /** Its PLAYER_JOIN is there, with the state that it came with. */
  readonly hasJoined: boolean;
  /** It had joined and not left. */
  readonly isPresent: boolean;
  /** Seq of its first entry. */
  readonly firstSeq: number;
  /** How much it had recorded, if it said so by leaving. */
  readonly expected: number | null;
  /** Its last entry is followed by a gap. */
  readonly restarts: boolean;
  readonly needsKeyframe: boolean;
}
