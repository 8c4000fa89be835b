import type { ErrorCode } from '../errors.ts';
import type { OpenPause, ToldPauses } from '../recording/play-clock.ts';
import type { JsonObject } from '../values/json.ts';

/** Offered and answered in the WebSocket handshake (W1). */
export const SUBPROTOCOL = 'gametape.v1';
/** Versions of the protocol that this build speaks. */
export const PROTOCOL_VERSIONS: readonly number[] = [1];

export type Role = 'player' | 'spectator' | 'host';

/** Where a reader of a room stands: `seq` within `epoch`, one incarnation of the room's journal (W4). */
export interface Position {
  readonly epoch: number;
  readonly seq: number;
}

/** First message of every connection (W1). `clock` is the sender's own clock now, in microseconds. */
export interface Hello {
  readonly kind: 'hello';
  readonly protocols: readonly number[];
  readonly room: string;
  readonly player: string;
  readonly role: Role;
  readonly profile: string;
  /** Names one SDK instance: the producer of what it records. */
  readonly instance: string;
  readonly clock: number;
  /** In what steps that clock ticks, in microseconds. Who says it is told how exact the clocks of a room are. */
  readonly tick?: number;
  readonly name?: string;
  readonly token?: string;
  /** The position to go on from after a lost connection, and the recording it is of. */
  readonly resume?: Position & { readonly recordingId: string };
  /** A body with the first keyframe of the player's state, empty if there is none. */
  readonly state: Uint8Array;
}

/** Answer to a probe of the relay: the client's clock on receipt and on sending, in microseconds (T2). */
export interface Pong {
  readonly kind: 'pong';
  readonly id: number;
  readonly received: number;
  readonly sent: number;
}

/**
 * The clock stood still while time went on, or was set: events from `pseq` on are stamped by what is another clock (T2).
 * `jump` is how much more time has passed than it shows, `clock` what it shows now, in microseconds.
 */
export interface ClockJump {
  readonly kind: 'clock-jump';
  readonly pseq: number;
  readonly jump: number;
  readonly clock: number;
}

/** Consecutive events of one producer, from `firstPseq` on (W2). Resent messages are the identical bytes. */
export interface EventsUp {
  readonly kind: 'events-up';
  readonly firstPseq: number;
  /** The last seq that this player had been shown (T4); undefined if the same as before. */
  readonly shown?: number;
  /** The last rewind that these events go on from (T8); undefined if there was none. */
  readonly base?: RewindBase;
  readonly events: readonly EventUp[];
}

/** A rewind as the player knows of it that it put somewhere else (T8). */
export interface RewindBase {
  /** Of the player's own entry. */
  readonly seq: number;
  /** Of the first event that goes on from it. */
  readonly firstPseq: number;
}

export interface EventUp {
  /** Since the producer's previous event, in microseconds of its own clock (T1). */
  readonly stampDelta: number;
  readonly body: Uint8Array;
}

/** Events that the SDK had to drop: an explicit hole instead of a silent one (W3). */
export interface Gap {
  readonly kind: 'gap';
  readonly firstPseq: number;
  readonly lastPseq: number;
  readonly reason: string;
}

/** The player goes. `lastPseq` is the last event it recorded. */
export interface Leave {
  readonly kind: 'leave';
  readonly lastPseq: number;
}

/** Asks to end the room and its recording (W6). */
export interface End {
  readonly kind: 'end';
  readonly lastPseq: number;
  readonly outcome: JsonObject;
}

/** Asks for the states that every player had at a checkpoint (T8). */
export interface Rewind {
  readonly kind: 'rewind';
  readonly name: string;
}

/** Answer to `ending`: everything up to here has been sent (W6). */
export interface Final {
  readonly kind: 'final';
  readonly lastPseq: number;
}

/** How an earlier connection of the same client went on: `reset` means a snapshot follows (W4). */
export type Resumption = 'new' | 'resumed' | 'reset';

export interface PlayerInfo {
  readonly id: string;
  readonly name?: string;
  readonly connected: boolean;
}

/** Answer to a hello. Every event sent on this connection belongs to `epoch`. Times are microseconds of room time. */
export interface Welcome {
  readonly kind: 'welcome';
  readonly protocol: number;
  readonly recordingId: string;
  readonly profile: string;
  readonly epoch: number;
  readonly seq: number;
  readonly resumption: Resumption;
  /** This connection's producer, -1 for spectators. */
  readonly producer: number;
  /** The producer's last event that is in the journal: the SDK goes on after it. */
  readonly lastPseq: number;
  readonly roomTime: number;
  readonly createdAt: number;
  /** Silence after which either side may take the other for dead, in milliseconds (W10). */
  readonly silenceMs: number;
  /** What `stable` means here: the kind of journal. */
  readonly durability: string;
  /** How much later than players a spectator is shown what happens, in milliseconds (V2). */
  readonly delayMs: number;
  /** How long a viewer holds an event back to show it in the order of the timeline, in milliseconds (T6). */
  readonly holdMs: number;
  readonly players: readonly PlayerInfo[];
  readonly spectators: SpectatorCount;
  /** What a clock tells, so that play time can be told as the relay does (T7). */
  readonly pauses: ToldPauses['pauses'];
  readonly paused?: OpenPause;
  readonly changes: ToldPauses['changes'];
  /** In a `reset` of a spectator: what it had been shown after that seq is in no recording, its seqs are others' now. */
  readonly lostAfter?: number;
  /** Seq of the last rewind of this connection's own producer: then its own keyframe is in the snapshot too (T8). */
  readonly rewound?: number;
  /** The relay wants to be told of clocks that jump. */
  readonly takesJumps?: boolean;
}

/** How many watch, and the ids of the first of them. */
export interface SpectatorCount {
  readonly count: number;
  readonly ids: readonly string[];
}

/** Producers and their keyframes, as records of a block (FORMAT.md), at the position of the welcome (W5). */
export interface Snapshot {
  readonly kind: 'snapshot';
  readonly records: Uint8Array;
}

/** A producer whose events follow. */
export interface ProducerNews {
  readonly kind: 'producer';
  readonly index: number;
  readonly player: string;
  readonly instance: string;
}

/** Both cumulative acks of one producer (W3). */
export interface Acks {
  readonly accepted: number;
  readonly stable: number;
}

/** Recorded events of other producers, and what the relay made of the own, up to and including room number `upTo` (W4). */
export interface EventsDown {
  readonly kind: 'events-down';
  readonly acks: Acks;
  readonly upTo: number;
  readonly events: readonly EventDown[];
}

export interface EventDown {
  readonly seq: number;
  readonly producer: number;
  /** Microseconds of room time. */
  readonly time: number;
  /** Tells events of one time apart (T3). */
  readonly hlc: number;
  /** The producer's own clock; null for events that the relay made. */
  readonly stamp: number | null;
  readonly body: Uint8Array;
}

export interface AckMessage {
  readonly kind: 'ack';
  readonly acks: Acks;
}

/** Heartbeat, clock probe and acks in one (W10). */
export interface Ping {
  readonly kind: 'ping';
  readonly id: number;
  readonly acks: Acks;
}

/** How far the times of producers may be from the truth: bounds of the error in microseconds, null where none is known (T2). */
export interface Clocks {
  readonly kind: 'clocks';
  readonly errors: readonly (readonly [producer: number, errorUs: number | null])[];
}

/** The producer skipped something: go on from here (W2). */
export interface Expect {
  readonly kind: 'expect';
  readonly pseq: number;
}

/** The change of event `pseq` did not fit (D3): declare a gap from there on, then go on with a keyframe. */
export interface NeedKeyframe {
  readonly kind: 'need-keyframe';
  readonly pseq: number;
}

/** Something that was refused without ending the connection. `pseq` names the event it is about, 0 if none. */
export interface Notice {
  readonly kind: 'notice';
  readonly code: ErrorCode;
  readonly message: string;
  readonly pseq: number;
  /** The checkpoint that a refused rewind named. */
  readonly rewind?: string;
  /** Seconds after which it may be asked again, where time is all that is needed. */
  readonly retryAfterS?: number;
}

/** The room ends: send what is left, then `final` (W6). */
export interface Ending {
  readonly kind: 'ending';
}

/** The recording is finished. */
export interface Ended {
  readonly kind: 'ended';
  readonly summary: SessionSummary;
  /** The last seq of the room: who has been shown less finds the rest in the recording. Not told to who comes back after it. */
  readonly seq?: number;
}

/** What a session leaves. `durationS` is play time in seconds. */
export interface SessionSummary {
  readonly recordingId: string;
  readonly room: string;
  readonly complete: boolean;
  readonly durationS: number;
  readonly events: number;
  readonly players: readonly {
    readonly id: string;
    readonly events: number;
    readonly expected: number | null;
    readonly received: number;
    readonly gaps: readonly (readonly [number, number])[];
  }[];
}

/** Room time now, in microseconds, as spectators are shown the room: below 0 before a delayed one begins (V2). */
export interface ClockNews {
  readonly kind: 'clock';
  readonly time: number;
  readonly holdMs: number;
}

/** Somebody has begun or ceased to watch. */
export interface Spectators extends SpectatorCount {
  readonly kind: 'spectators';
}

/** A piece of a message that is longer than a message may be. */
export interface Chunk {
  readonly kind: 'chunk';
  readonly last: boolean;
  readonly bytes: Uint8Array;
}

export type UpMessage = Hello | Pong | ClockJump | EventsUp | Gap | Leave | End | Final | Rewind | Chunk;
export type DownMessage =
  | Welcome
  | Snapshot
  | ProducerNews
  | EventsDown
  | AckMessage
  | Ping
  | Clocks
  | Expect
  | NeedKeyframe
  | Notice
  | Ending
  | Ended
  | ClockNews
  | Spectators
  | Chunk;

/** First byte of each message (PROTOCOL.md). `events-up` has flags in its low bits. */
export const MessageByte = {
  hello: 0x01,
  pong: 0x02,
  'clock-jump': 0x03,
  gap: 0x04,
  leave: 0x05,
  end: 0x06,
  final: 0x07,
  rewind: 0x08,
  chunk: 0x0f,
  'events-up': 0x40,
  welcome: 0x81,
  snapshot: 0x82,
  'events-down': 0x83,
  producer: 0x84,
  ack: 0x85,
  ping: 0x86,
  expect: 0x87,
  notice: 0x88,
  'need-keyframe': 0x89,
  ending: 0x8a,
  ended: 0x8b,
  clock: 0x8c,
  spectators: 0x8d,
  clocks: 0x8e,
} as const satisfies Record<(UpMessage | DownMessage)['kind'], number>;

/** Flags of `events-up`. */
export const EventsFlag = { Single: 1, Shown: 2, Base: 4 } as const;
export const EVENTS_FLAGS = 7;
