import { onTestFinished } from 'vitest';

const TICK_MS = 5;

/**
 * A clock of this process that runs only while the process does: when the machine stands still, or gives its time to others,
 * late ticks count as one. What the process itself works counts in full, whether it lets the clock tick or not.
 */
export class RunningTime {
  #ticks = 0;

  constructor() {
    const timer = setInterval(() => this.#ticks++, TICK_MS);
    onTestFinished(() => clearInterval(timer));
  }

  /** From now on. Returns what tells how long it has been since, in milliseconds. */
  start(): () => number {
    const [ticks, cpu] = [this.#ticks, process.cpuUsage()];
    return () => {
      const { user, system } = process.cpuUsage(cpu);
      return Math.max((this.#ticks - ticks) * TICK_MS, (user + system) / 1_000);
    };
  }
}
