import { createHash } from 'node:crypto';

/** What a run did, in order, as one hash: two runs that did the same have the same. */
export class Trace {
  readonly #hash = createHash('sha256');
  readonly #say: ((line: string) => void) | undefined;
  readonly #now: () => number;

  constructor(now: () => number, say?: (line: string) => void) {
    this.#now = now;
    this.#say = say;
  }

  note(what: string): void {
    const line = `${this.#now().toFixed(3)} ${what}`;
    this.#hash.update(line).update('\n');
    this.#say?.(line);
  }

  /** Ends the trace. */
  digest(): string {
    return this.#hash.digest('hex').slice(0, 16);
  }
}
