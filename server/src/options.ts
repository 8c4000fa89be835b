import type { Logger } from './log.ts';

export interface RelayOptions {
  /** TCP port; 0 takes a free one. @default 7600 */
  readonly port: number;
  /** Address to listen on. @default '127.0.0.1' */
  readonly host: string;
  /** Directory of journal and recordings. Undefined keeps the journal in memory and the recordings in a temporary directory: nothing survives the relay. @default undefined */
  readonly dataDir: string | undefined;
  /** URL of a Redis that has the journal, which several relays may share: `redis://`, `redis+sentinel://`, `redis+cluster://`, with `rediss` for TLS. Recordings still go to `dataDir`. @default undefined */
  readonly redis: string | undefined;
  /** Records into a Redis although its settings may lose what it has acknowledged. @default false */
  readonly redisAcceptLoss: boolean;
  /** A relay that Redis has not heard of for this long loses its rooms to the one that asks for them, in milliseconds. @default 10000 */
  readonly leaseMs: number;
  /** `RECORDING#CHECKPOINT`: the next session in the room of that recording starts with the states there. @default undefined */
  readonly from: string | undefined;
  /** How much later spectators are shown everything, in milliseconds, at most 300000 (V2). @default 0 */
  readonly spectatorDelayMs: number;
  /** Files that a finished recording becomes. @default 'binary' */
  readonly format: 'binary' | 'gzip' | 'both';
  /** Longest wait of an event for others to travel with, in milliseconds; 0 sends every turn of the event loop (W7). @default 16 */
  readonly flushMs: number;
  /** Shortest time between two syncs of the journal, in milliseconds (J1). @default 20 */
  readonly syncIntervalMs: number;
  /** Time between heartbeats, in milliseconds (W10). @default 5000 */
  readonly heartbeatMs: number;
  /** Silence after which a peer is taken for dead, in milliseconds (W10). @default 15000 */
  readonly silenceMs: number;
  /** How long a peer may take to say hello, in milliseconds (S2). @default 4000 */
  readonly handshakeMs: number;
  /** How long a player may be away before PLAYER_LEAVE is recorded, in milliseconds. @default 5000 */
  readonly dropGraceMs: number;
  /** How long an empty room waits for somebody to return before its recording is finished, in milliseconds. @default 120000 */
  readonly idleFinishMs: number;
  /** How long players have to send what is left when a room ends, in milliseconds (W6). @default 5000 */
  readonly endTimeoutMs: number;
  /** Most rooms at once, with those that are over and still finished or shown (S2). @default 10000 */
  readonly maxRooms: number;
  /** Most players connected to a room (S2). @default 64 */
  readonly maxPlayers: number;
  /** Most spectators of a room (S2). @default 10000 */
  readonly maxSpectators: number;
  /** Rewinds of a room a minute, all of them at once if need be; one counts again for each 256 KiB of its players' states (S2). @default 60 */
  readonly rewindsPerMinute: number;
  /** The same for the checkpoints that get a name (S2). @default 1200 */
  readonly checkpointsPerMinute: number;
  /** Most connections from one address (S2). @default 4096 */
  readonly maxConnectionsPerAddress: number;
  /** Serves the viewer under `/`. @default true */
  readonly viewer: boolean;
  /** Where the relay tells what it does; the default says nothing. @default undefined */
  readonly log: Logger | undefined;
}

/** What is not due waits in memory: longer delays belong to whoever plays the recording. */
export const MAX_SPECTATOR_DELAY_MS = 300_000;

export const DEFAULT_RELAY_OPTIONS: RelayOptions = {
  port: 7600,
  host: '127.0.0.1',
  dataDir: undefined,
  redis: undefined,
  redisAcceptLoss: false,
  leaseMs: 10_000,
  from: undefined,
  spectatorDelayMs: 0,
  format: 'binary',
  flushMs: 16,
  syncIntervalMs: 20,
  heartbeatMs: 5_000,
  silenceMs: 15_000,
  handshakeMs: 4_000,
  dropGraceMs: 5_000,
  idleFinishMs: 120_000,
  endTimeoutMs: 5_000,
  maxRooms: 10_000,
  maxPlayers: 64,
  maxSpectators: 10_000,
  rewindsPerMinute: 60,
  checkpointsPerMinute: 1_200,
  maxConnectionsPerAddress: 4_096,
  viewer: true,
  log: undefined,
};
