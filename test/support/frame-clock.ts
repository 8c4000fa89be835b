import type { Replay, ReplayClock } from '@gametape/client-sdk';

/** Time that stands still until a test lets a frame pass. */
export class FrameClock implements ReplayClock {
  #now = 0;
  #callback: (() => void) | undefined;

  get isWaiting(): boolean {
    return this.#callback !== undefined;
  }

  now(): number {
    return this.#now;
  }

  nextFrame(callback: () => void): () => void {
    if (this.#callback) throw new Error('two frames at once: two generations play');
    this.#callback = callback;
    return () => {
      if (this.#callback === callback) this.#callback = undefined;
    };
  }

  /** Lets time pass, and the frame that waits. Resolves when it is over: the next one waits, or nothing plays any more. */
  async pass(ms: number, replay: Replay): Promise<void> {
    this.#now += ms;
    const callback = this.#callback;
    this.#callback = undefined;
    callback?.();
    await this.settled(replay);
  }

  /** Nothing is under way but the wait for a frame. */
  async settled(replay: Replay): Promise<void> {
    for (let turn = 0; replay.seeking || (!replay.paused && !replay.isLive && !this.isWaiting); turn++) {
      if (turn > 100_000) throw new Error('the replay neither waits for a frame nor stands still');
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
