import type { RoomClock } from '../timeline/clock.ts';
import type { FlushMark } from './open-blocks.ts';

/** Marks that are due within this time of each other are shown together. */
const TOGETHER_US = 16_000;

export interface DueLineOptions {
  readonly clock: RoomClock;
  readonly delayUs: number;
  /** The last of the marks that have become due. */
  readonly onDue: (mark: FlushMark) => void;
  /** Stands around what the timer calls (S4). */
  readonly guard: (work: () => void) => void;
}

/** What the journal has, on its way to spectators: each mark is due so long after it was made, and never before (V2). */
export class DueLine {
  readonly #options: DueLineOptions;
  #waiting: FlushMark[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: DueLineOptions) {
    this.#options = options;
  }

  /** The journal has everything up to that mark. */
  add(mark: FlushMark): void {
    if (this.#isStopped) return;
    if (this.#options.delayUs === 0) {
      this.#options.onDue(mark);
      return;
    }
    this.#waiting.push(mark);
    this.#schedule();
  }

  /** Forgets all but the last, and perhaps the next: nothing between them is due by itself. */
  keepLast({ andNext }: { andNext: boolean }): void {
    const next = andNext ? this.#waiting.slice(0, 1) : [];
    this.#waiting = [...next, ...this.#waiting.slice(next.length).slice(-1)];
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#schedule();
  }

  /** Lets go of what is due. */
  release(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { clock, delayUs, onDue } = this.#options;
    const dueAt = clock.now() - delayUs;
    const first = this.#waiting.findIndex(({ at }) => at > dueAt);
    const count = first < 0 ? this.#waiting.length : first;
    const due = this.#waiting[count - 1];
    this.#waiting = this.#waiting.slice(count);
    this.#schedule();
    if (due) onDue(due);
  }

  stop(): void {
    this.#isStopped = true;
    this.#waiting = [];
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    const [first] = this.#waiting;
    if (!first || this.#timer !== undefined) return;
    const { clock, delayUs, guard } = this.#options;
    // A timer may come a little early: then it is set again.
    const waitMs = Math.max(1, Math.ceil((first.at + delayUs + TOGETHER_US - clock.now()) / 1_000));
    this.#timer = setTimeout(() => guard(() => this.release()), waitMs);
  }
}
