import { performance } from 'node:perf_hooks';
import { type Planned, TimeHeap } from './time-heap.ts';

/** A process of the simulated world: what it has planned dies with it. */
export interface Owner {
  readonly name: string;
  isDead: boolean;
  /** When its monotonic clock read 0, in milliseconds of virtual time. */
  readonly startedAt: number;
  /** What its wall clock is off by, in milliseconds. */
  wallOffsetMs: number;
}

interface Item extends Planned {
  readonly owner: Owner;
  readonly run: () => void;
  isCancelled: boolean;
}

/** What `setTimeout` and its like return here: as much of NodeJS.Timeout as anybody asks of one. */
class Handle {
  item: Item | undefined;

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }
}

/** Wall clock at virtual time 0. */
const EPOCH_MS = Date.UTC(2026, 0, 1);

/**
 * Virtual time: one queue of everything that is to happen, in one order. Time stands still while something happens and
 * jumps to the next thing when all its microtasks have run. Whatever plans something does it for the owner that runs at that
 * moment.
 */
export class ManualClock {
  readonly #heap = new TimeHeap<Item>();
  readonly #world: Owner = { name: 'world', isDead: false, startedAt: 0, wallOffsetMs: 0 };
  #now = 0;
  #order = 0;
  #steps = 0;
  #current: Owner = this.#world;

  /** Milliseconds of virtual time. */
  get now(): number {
    return this.#now;
  }

  get steps(): number {
    return this.#steps;
  }

  get current(): Owner {
    return this.#current;
  }

  /** A new process, whose clock starts now. */
  spawn(name: string, wallOffsetMs = 0): Owner {
    return { name, isDead: false, startedAt: this.#now, wallOffsetMs };
  }

  /** Nothing of it ever runs again. */
  kill(owner: Owner): void {
    owner.isDead = true;
  }

  /** Plans `run`, in this many milliseconds, as that owner. */
  schedule(delayMs: number, run: () => void, owner: Owner = this.#current): Item {
    const item = { at: this.#now + Math.max(0, delayMs), order: this.#order++, owner, run, isCancelled: false };
    this.#heap.push(item);
    return item;
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.schedule(delayMs, resolve));
  }

  /**
   * Lets happen what is planned until `isDone`, and returns false when nothing is planned any more or that much virtual time
   * has passed.
   */
  async run(isDone: () => boolean, limitMs: number): Promise<boolean> {
    const deadline = this.#now + limitMs;
    await microtasks();
    while (!isDone()) {
      const item = this.#heap.pop();
      if (!item || item.at > deadline) {
        if (item) this.#heap.push(item);
        return false;
      }
      if (item.isCancelled || item.owner.isDead) continue;
      this.#now = item.at;
      this.#steps++;
      this.#current = item.owner;
      item.run();
      await microtasks();
      this.#current = this.#world;
    }
    return true;
  }

  /** Puts this clock in the place of the global ones of the process. Returns what puts those back. */
  install(): () => void {
    const before = GLOBALS.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
    const dateNow = Date.now;
    const timeout = (run: (...args: unknown[]) => void, delayMs = 1, ...args: unknown[]) =>
      this.#handle(whole(delayMs), () => run(...args));
    const immediate = (run: (...args: unknown[]) => void, ...args: unknown[]) => this.#handle(0, () => run(...args));
    const interval = (run: (...args: unknown[]) => void, delayMs = 1, ...args: unknown[]) => {
      const handle = new Handle();
      const beat = () => {
        handle.item = this.schedule(whole(delayMs), beat);
        run(...args);
      };
      handle.item = this.schedule(whole(delayMs), beat);
      return handle;
    };
    const clear = (handle: unknown) => {
      if (handle instanceof Handle && handle.item) handle.item.isCancelled = true;
    };
    const replaced = [timeout, interval, immediate, clear, clear, clear];
    for (const [index, name] of GLOBALS.entries()) {
      Object.defineProperty(globalThis, name, { value: replaced[index], configurable: true, writable: true });
    }
    Date.now = () => Math.floor(EPOCH_MS + this.#now + this.#current.wallOffsetMs);
    Object.defineProperty(performance, 'now', {
      value: () => this.#now - this.#current.startedAt,
      configurable: true,
      writable: true,
    });
    return () => {
      for (const [name, descriptor] of before) if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      Date.now = dateNow;
      Reflect.deleteProperty(performance, 'now');
    };
  }

  #handle(delayMs: number, run: () => void): Handle {
    const handle = new Handle();
    handle.item = this.schedule(delayMs, run);
    return handle;
  }
}

const GLOBALS = [
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
] as const;

const turn = setImmediate;

/** Resolves when every promise that can go on has: turns of the real event loop come after them. */
function microtasks(): Promise<void> {
  return new Promise((resolve) => turn(resolve));
}

/** As Node has it: at least one millisecond, and only whole ones. */
function whole(delayMs: number): number {
  return delayMs >= 1 ? Math.trunc(delayMs) : 1;
}
