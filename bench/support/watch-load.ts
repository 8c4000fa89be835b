/** What the process is told that plays a room and lets a crowd come to watch it. */
export interface WatchOrder {
  readonly side: 'ours' | 'bare';
  readonly wsUrl: string;
  readonly serverPid: number;
  readonly room: string;
  readonly spectators: number;
  /** They come evenly within that time. */
  readonly joinSeconds: number;
  /** Before they come, and after. */
  readonly quietSeconds: number;
  readonly eventsPerSecond: number;
  /** Each player's name and text. */
  readonly players: readonly { readonly name: string; readonly text: string }[];
  /** Bytes that the bare server gives to each who comes: as many as our snapshot has. */
  readonly snapshotBytes: number;
  /** Where the server writes the delays of its event loop when it is sent SIGUSR2. */
  readonly loopDelayFile: string;
}

/** How much later than due a server's event loop turned, in milliseconds. */
export interface LoopDelay {
  readonly p99Ms: number;
  readonly worstMs: number;
}

/** Latencies are of players, from `record` or `send` to another player's listener, in milliseconds. */
export interface Phase {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly worstMs: number;
  readonly events: number;
  readonly serverCpuS: number;
  readonly seconds: number;
  readonly loop: LoopDelay;
}

export interface WatchResult {
  readonly before: Phase;
  /** From the first that comes until the last has the whole room. */
  readonly joining: Phase;
  /** With all of them there. */
  readonly watched: Phase;
  /** From opening the socket to the last byte of the first consistent picture. */
  readonly firstFramesMs: readonly number[];
  readonly snapshotBytes: number;
  readonly loadCpuS: number;
}
