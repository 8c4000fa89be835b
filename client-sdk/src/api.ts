import type {
  GameEvent,
  Json,
  JsonObject,
  PlayerSummary,
  ProfileName,
  SessionSummary,
  SpectatorCount,
  State,
  TextChange,
} from '@gametape/shared';
import type { Reel } from './reel.ts';

/** What a game hands in: the type and data of an event. `data` may be left out. */
export interface EventInput {
  readonly type: string;
  readonly data?: JsonObject;
}

/** An event as it is shown and replayed. `time` is play time in seconds (T7). */
export interface PlayedEvent extends GameEvent {
  readonly player: string;
  readonly time: number;
  /** Number of the event in its room (W4). */
  readonly seq: number;
  /** The player's state right after it, made when it is first asked for and right only until the next event. */
  readonly state: State;
}

/** An event of a live room. */
export interface LiveEvent extends PlayedEvent {
  /** Incarnation of the room that `seq` belongs to. */
  readonly epoch: number;
  /** It came only after its time had been shown (T6). Never so for players, who are shown everything as it comes. */
  readonly late: boolean;
}

export interface ConnectOptions {
  /** Address of the relay: `ws://host:port` or `wss://…`. */
  readonly url: string;
  readonly room: string;
  readonly player: string;
  readonly token?: string;
  /** The player's state at the start. @default the empty GameState for the `lmsp` profile, none for `json` */
  readonly state?: State;
  /** What the room's events and states look like (L5). The first player of a room decides. @default 'lmsp' */
  readonly profile?: ProfileName;
  /** How the player is called on screen. */
  readonly name?: string;
  /** Longest wait of an event for others to travel with, in milliseconds; 0 sends every turn of the event loop. @default 16 */
  readonly flushMs?: number;
  /** How long the first connection may take, in milliseconds. @default 10_000 */
  readonly timeoutMs?: number;
  /**
   * Keeps what is not stable outside of the process too, so that a crash does not lose it: the next `connect` of the same player to
   * the same room has it recorded before it joins. Browsers keep it in IndexedDB: `true` will do; Node needs a directory.
   * @default false
   */
  readonly spool?: boolean | SpoolOptions;
}

/** Where and how a spool is kept. */
export interface SpoolOptions {
  /** Node: the directory, which may be shared by any number of processes. */
  readonly directory?: string;
  /** Node: every write is synced, so that it survives a power loss of this machine. Without it a write survives the process. @default false */
  readonly sync?: boolean;
  /** Browsers: name of the database. @default 'gametape-spool' */
  readonly database?: string;
}

/** What a session keeps in its spool, and what it found in those of earlier ones. */
export interface SpoolStatus {
  /** What is recorded now is kept. False when the spool could not be opened or written: an `error` has said why. */
  readonly isKept: boolean;
  /** Size of this session's spool. */
  readonly bytes: number;
  /** Events of earlier sessions that `connect` has had recorded. */
  readonly recovered: number;
  /** Earlier sessions of which something is kept that no recording can take any more: see `keptTails`. */
  readonly kept: number;
}

/** Whose kept tails are asked for: everybody's in that place, if neither is named. */
export interface KeptTailsOptions extends SpoolOptions {
  readonly room?: string;
  readonly player?: string;
}

/** What an earlier session left in its spool and no recording can take any more. */
export interface KeptTail {
  readonly room: string;
  readonly player: string;
  readonly instance: string;
  /** When its session began. */
  readonly createdAt: Date;
  /** The recording that these events are missing from. */
  readonly recordingId: string | undefined;
  /** Why they cannot be recorded: an error code and its message. */
  readonly reason: { readonly code: string; readonly message: string };
  events(): Iterable<TailEvent>;
  /** Deletes it. It is deleted by itself after 7 days. */
  discard(): Promise<void>;
}

/** An event that is in no recording. */
export interface TailEvent {
  /** The session's events are numbered from 1. */
  readonly number: number;
  /** By the wall clock of the machine it was made on. */
  readonly time: Date;
  /** Undefined where only the state changed, or where what it goes on from is damaged. */
  readonly type: string | undefined;
  readonly data: JsonObject;
  /** The player's state right after it, right only until the next event is asked for. */
  readonly state: State;
}

/** What a connection is doing. */
export type ConnectionStatus = 'connecting' | 'live' | 'reconnecting' | 'ended' | 'closed';

/** How far what was recorded has come: numbers of this session's events (W3). */
export interface SessionStatus {
  readonly connection: ConnectionStatus;
  readonly recorded: number;
  readonly accepted: number;
  readonly stable: number;
  /** Events that had to be dropped because the connection was away for too long. */
  readonly lost: number;
  /** Bytes of messages that wait to be stable. */
  readonly pendingBytes: number;
  /**
   * What `stable` is worth: the kind of journal that the relay named, such as `file` or `redis:everysec`. With `memory`,
   * `redis:memory` and `redis:no` it is worth no more than `accepted`. Empty before the first welcome.
   */
  readonly durability: string;
  /** Undefined without the option `spool`. */
  readonly spool?: SpoolStatus;
}

/** Another player of a room, as this session or spectator sees it. */
export interface PlayerView {
  readonly id: string;
  readonly connected: boolean;
  readonly name?: string;
}

export interface SessionEvents {
  /** Any event of another player, or that the relay made of this one; the ones below included. */
  event: LiveEvent;
  player_join: LiveEvent;
  player_leave: LiveEvent;
  player_message: LiveEvent;
  rewind: LiveEvent;
  status: SessionStatus;
  /** Somebody has begun or ceased to watch: at most once a second. */
  spectators: SpectatorCount;
  /** Something went wrong that the session survives, or the reason why it closed. */
  error: Error;
}

/** A player's place in a room: records what it does, and sees what the others do. */
export interface Session {
  readonly room: string;
  readonly player: string;
  readonly recordingId: string;
  readonly status: SessionStatus;
  /** This player's state now. */
  readonly state: State;
  /** The other players of the room, and their states as far as they have been shown. */
  readonly players: ReadonlyMap<string, PlayerView>;
  readonly states: ReadonlyMap<string, State>;
  /** How many watch, and the ids of the first hundred of them. */
  readonly spectators: SpectatorCount;

  /**
   * Records an event, stamped now (T1), with the state after it if that changed.
   * @throws GametapeError `BAD_VALUE`, `BAD_EVENT`, `LIMIT_EXCEEDED`, `SESSION_CLOSED`
   */
  record(event: EventInput, nextState?: State): void;
  /** The player's state is now `next`. It travels with the next event, or alone at the end of the turn. */
  setState(next: State): void;
  /** One change of a text, at a cost that does not depend on the text (D1). Positions are UTF-16 code units. */
  edit(key: string, change: TextChange): void;
  /** One key of the state is now `value`. */
  set(key: string, value: Json): void;
  /** Says something to everybody in the room: PLAYER_MESSAGE. */
  say(message: string): void;
  /** Names this point. Resolves when it is recorded. @throws GametapeError `NAME_TAKEN`, `LIMIT_EXCEEDED` */
  checkpoint(name: string): Promise<void>;
  /**
   * Everybody's state is again what it was at that checkpoint (T8). Nothing is erased: the recording goes on. Resolves when
   * this session is there; every client hears of it as the event `rewind`, its state already restored.
   * @throws GametapeError `NOT_FOUND`, `DAMAGED`, `UNREACHABLE`, `ROOM_ENDED`; `LIMIT_EXCEEDED` with `retryAfterS` when it
   *   has been rewound too often
   */
  rewind(name: string): Promise<void>;
  /** Play time stands still from now on (T7). */
  pause(): void;
  resume(): void;
  setSpeed(speed: number): void;
  /**
   * Resolves when everything recorded so far is on stable storage (W3), as far as the relay has one: see
   * `status.durability`. @throws GametapeError `SESSION_CLOSED`
   */
  stable(): Promise<void>;
  /** Goes: everything is stable, PLAYER_LEAVE is recorded, the connection closed. @throws GametapeError why it was closed before that */
  leave(): Promise<void>;
  /** Ends the room. Resolves when the recording is finished, with what it holds (W6). */
  end(outcome?: JsonObject): Promise<SessionSummary>;
  /** Calls `listener` for every such event until the returned function is called. */
  on<Name extends keyof SessionEvents>(name: Name, listener: (event: SessionEvents[Name]) => void): () => void;
}

/** Where watching begins: at what happens now, at the start, at a play time in seconds, or at a checkpoint, the last of its name. */
export type SpectateFrom = 'live' | 'start' | { readonly time: number } | { readonly checkpoint: string };

export interface SpectateOptions {
  readonly url: string;
  readonly room: string;
  /** @default 'live' */
  readonly from?: SpectateFrom;
  readonly token?: string;
  /** Id of the spectator. @default a random one */
  readonly spectator?: string;
  /** How long the first connection may take, in milliseconds. @default 10_000 */
  readonly timeoutMs?: number;
}

export interface LiveEvents extends PlayheadEvents {
  event: LiveEvent;
  status: ConnectionStatus;
  /** The room has ended; its recording is finished. Who is behind goes on in it. */
  end: SessionSummary;
}

/**
 * A live room as a spectator sees it: a playhead that begins at the live edge or wherever was asked for, plays, and may go back
 * and catch up (V1). It never writes.
 */
export interface Live extends Playhead {
  readonly room: string;
  readonly recordingId: string;
  readonly status: ConnectionStatus;
  /** How much later than players this spectator is shown what happens, in seconds, by the rules of the room (V2). */
  readonly delay: number;
  /** Who is there at the live edge. */
  readonly players: ReadonlyMap<string, PlayerView>;
  /** For playheads of one's own: `new Replay(live)`. */
  readonly reel: Reel;
  /** Checkpoints so far. @throws GametapeError what keeps the relay from telling */
  checkpoints(): Promise<readonly LiveCheckpoint[]>;
  on<Name extends keyof LiveEvents>(name: Name, listener: (event: LiveEvents[Name]) => void): () => void;
  close(): void;
}

/** A checkpoint of a room that goes on. `time` is play time in seconds. */
export interface LiveCheckpoint {
  readonly name: string;
  readonly time: number;
}

/** A checkpoint of a recording. `time` is play time in seconds. */
export interface TapeCheckpoint {
  readonly name: string;
  readonly time: number;
  readonly eventIndex: number;
}

/** An event that one jumps to: joins and leaves, challenges, whatever the profile names. Time is play time in seconds. */
export interface TapeMarker {
  readonly type: string;
  readonly player: string;
  readonly time: number;
  readonly seq: number;
  readonly eventIndex: number;
}

/** Which events to read. Times are play time in seconds, `to` exclusive. */
export interface EventFilter {
  readonly from?: number;
  readonly to?: number;
  readonly player?: string;
  readonly type?: string;
}

/** An event of a recording. `index` counts the events of the whole recording from 0. */
export interface TapeEvent extends PlayedEvent {
  readonly index: number;
}

/** An event as a playhead passes it. */
export interface ReplayEvent extends PlayedEvent {
  /** It arrived only after its time had been shown (T6). In a recording it is where it belongs. */
  readonly late: boolean;
}

/** What a playhead tells. Times are play time in seconds. */
export interface PlayheadEvents {
  /** An event that was played or stepped over; not those that a seek jumps over. */
  event: ReplayEvent;
  /** The state of a player changed while playing, with an event or without one. */
  change: { readonly player: string; readonly time: number; readonly seq: number; readonly late: boolean };
  /** The playhead is there now. */
  timeupdate: number;
  /** A live room's end is there now, whoever looks at it. */
  durationchange: number;
  seeking: number;
  /** The states are those of this time; any of them may be another than before. */
  seeked: number;
  ratechange: number;
  play: number;
  pause: number;
  /** A recording has been played to its end. */
  ended: number;
  /** Something could not be read, and playing stopped there; with a live room, anything that went wrong. */
  error: Error;
}

/** A point that plays, the face of a video: of a recording or of a live room, they are the same. */
export interface Playhead {
  /** Play time in seconds. Setting it seeks; what is past either end goes to that end. @throws TypeError unless it is a number */
  currentTime: number;
  /** How fast it plays, 0.1 to 16. @throws TypeError for any other */
  playbackRate: number;
  /** Where nothing happens for this long, in seconds of play time, the rest of it is skipped; infinite for never. @throws TypeError unless above 0 */
  maxGap: number;
  /** Its end, so far. */
  readonly duration: number;
  readonly paused: boolean;
  readonly seeking: boolean;
  readonly ended: boolean;
  /** It is at the end of a live room, and goes on with it. */
  readonly isLive: boolean;
  /** Each player's state at this point. */
  readonly states: ReadonlyMap<string, State>;
  /** One of them: the others need not be made. */
  stateOf(player: string): State | undefined;
  /** Plays on; from the start again when it is at the end of a recording. */
  play(): void;
  pause(): void;
  /** `currentTime =`, and resolves once it is shown, or a newer one took over. */
  seek(time: number): Promise<void>;
  /**
   * Pauses, and goes by this many events, back if negative: to the states right after one. Resolves with that event, undefined
   * if a seek took over or there is none.
   */
  step(events: number): Promise<ReplayEvent | undefined>;
  /** To the end of a live room, at once, and on with it. A recording goes to its end. */
  goLive(): void;
}

/** A finished recording, opened. */
export interface Tape extends Reel {
  readonly recordingId: string;
  readonly room: string;
  readonly profile: string;
  /** When the room was opened. */
  readonly createdAt: Date;
  /** Play time in seconds. */
  readonly duration: number;
  readonly players: readonly PlayerSummary[];
  readonly checkpoints: readonly TapeCheckpoint[];
  readonly markers: readonly TapeMarker[];
  /** Every event that any player recorded is here. */
  readonly complete: boolean;
  readonly eventCount: number;
  /** Events in timeline order. Read the `state` of one before asking for the next. */
  events(filter?: EventFilter): AsyncGenerator<TapeEvent>;
  /** Every player's state after all that happened up to and including `time`; past the end, the last. */
  statesAt(time: number): Promise<Map<string, State>>;
  /** Every player's state at a checkpoint, the last of that name. @throws GametapeError `NOT_FOUND` for an unknown name. */
  checkpoint(name: string): Promise<Map<string, State>>;
  /** Looks for what was appended to a file still being written: true when there is more to read. */
  refresh(): Promise<boolean>;
  /** One player's state at a time. @throws GametapeError `NOT_FOUND` for a player that had none yet. */
  stateAt(time: number, player: string): Promise<State>;
  close(): Promise<void>;
}
