/** What both sides of the load are told. */
interface Order {
  readonly side: 'ours' | 'bare';
  readonly wsUrl: string;
  readonly room: string;
  /** Each player's name and text. */
  readonly players: readonly { readonly name: string; readonly text: string }[];
}

/** What the process is told that plays a room, for as long as it lives. */
export interface PlayOrder extends Order {
  readonly eventsPerSecond: number;
}

/** Latencies of players, from `record` or `send` to another player's listener, in milliseconds. */
export interface Heard {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What the process is told that lets a crowd come to watch a room. */
export interface WatchOrder extends Order {
  readonly spectators: number;
  /** What their names begin with. */
  readonly prefix: string;
  /** They come evenly within that time. */
  readonly joinSeconds: number;
  /** Bytes that the bare server gives to each who comes: as many as our snapshot has. */
  readonly snapshotBytes: number;
}

/** The crowd that is there. */
export interface Crowd {
  /** From opening the socket to the last byte of the first consistent picture. */
  readonly firstFramesMs: readonly number[];
  readonly snapshotBytes: number;
  /** Until all of it is there. */
  readonly loadCpuS: number;
}

/** How much later than due a server's event loop turned, in milliseconds. */
export interface LoopDelay {
  readonly p99Ms: number;
  readonly worstMs: number;
}
