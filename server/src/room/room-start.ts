import {
  type CheckpointPlace,
  type LiveState,
  PlayClock,
  type ProducerContext,
  type Profile,
  type RecordingMeta,
  type Template,
  type Vocabulary,
} from '@gametape/shared';
import type { Journal } from '../journal/journal.ts';
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
  readonly recent: readonly Pick<RecentEntry, 'entry' | 'restarts' | 'isForOwner'>[];
  /** Last seq of each earlier epoch: a position of one of them is still good up to there (W4). */
  readonly epochEnds: ReadonlyMap<number, number>;
  readonly producers: readonly RestoredProducer[];
  readonly checkpoints: ReadonlyMap<string, CheckpointPlace>;
  readonly playClock: PlayClock;
  readonly events: number;
  /** How many gaps its producers have left. */
  readonly gaps: number;
  /** For each producer of whom the journal has events and not who it is: the last number of them (J6). */
  readonly unknown: readonly number[];
  /** States that players start with, instead of what they come with. */
  readonly startStates?: ReadonlyMap<string, LiveState>;
}

/** A room in which nothing has happened yet. */
export function newRoomStart(
  opening: Pick<RoomStart, 'meta' | 'profile' | 'epoch' | 'clock'>,
  journal: Journal,
): RoomStart {
  return {
    ...opening,
    journal: { journal, lastSealed: undefined, sealing: undefined },
    headSeq: 0,
    recent: [],
    epochEnds: new Map(),
    producers: [],
    checkpoints: new Map(),
    playClock: new PlayClock(),
    events: 0,
    gaps: 0,
    unknown: [],
  };
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
  /** Seq of the last rewind that restored its state; 0 if none did (T8). */
  readonly rewoundAt: number;
  /** The last of its events that is left out because of what is missing before it; 0 if none is (J4). */
  readonly leftOut: number;
  /** By base, the vocabulary of events that may still come and go on from before a rewind. */
  readonly staleVocabularies: ReadonlyMap<number, Vocabulary>;
  /** What may have taught one of those its template since (T8). */
  readonly spelled: readonly SpelledEvent[];
}

/** An event that was recorded with its template spelled out. */
export interface SpelledEvent {
  readonly pseq: number;
  readonly template: Template;
}
