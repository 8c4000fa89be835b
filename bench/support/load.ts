/** What the load process is told. */
export interface LoadOrder {
  readonly side: 'ours' | 'bare';
  readonly wsUrl: string;
  readonly serverPid: number;
  readonly rooms: number;
  readonly playersPerRoom: number;
  readonly eventsPerSecond: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** What it measured in the seconds after the warm-up. Latencies are from `record` or `send` to the receiver's listener. */
export interface LoadResult {
  readonly events: number;
  readonly serverCpuS: number;
  readonly loadCpuS: number;
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  /** Of the whole run, warm-up included. */
  readonly sent: number;
  readonly delivered: number;
  readonly expected: number;
  /** Spent by the server from the last event to the last finished recording. */
  readonly finishCpuS: number;
  readonly recordings: readonly string[];
}

/** One player under load. */
export interface LoadClient {
  send(): void;
}

/** Every player of a side, connected, and how to finish. */
export interface LoadSide {
  readonly clients: readonly LoadClient[];
  /** Ends what was begun, and names the recordings it left. */
  finish(): Promise<readonly string[]>;
}

/** Bytes of one event: of its body for ours, of its message for the bare server. */
export const EVENT_BYTES = 40;
