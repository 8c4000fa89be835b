const FRAME_MS = 16;

/** Where a replay takes the time from: tests need not wait for it. */
export interface ReplayClock {
  /** Milliseconds, never going back. */
  now(): number;
  /** Calls once, soon. Returns what takes it back. */
  nextFrame(callback: () => void): () => void;
}

export const SYSTEM_CLOCK: ReplayClock = {
  now: () => performance.now(),
  nextFrame: (callback) => {
    const timer = setTimeout(callback, FRAME_MS);
    return () => clearTimeout(timer);
  },
};
