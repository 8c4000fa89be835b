/** Longest time that those who come in take from one turn of the event loop. */
const TURN_MS = 1;

/** Lets in who comes, a few in every turn of the event loop: players are heard between them. */
export class Turnstile {
  #waiting: (() => void)[] = [];
  /** When those who come in this turn have had their time; undefined while nobody has come in it. */
  #until: number | undefined;

  /** Resolves when it is their turn, with what `work` gives. */
  pass<Result>(work: () => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      });
      if (this.#until === undefined) this.#turn();
      else if (this.#waiting.length === 1 && performance.now() < this.#until) this.#serve(this.#until);
    });
  }

  #turn(): void {
    this.#until = performance.now() + TURN_MS;
    this.#serve(this.#until);
    setImmediate(() => {
      this.#until = undefined;
      if (this.#waiting.length > 0) this.#turn();
    });
  }

  #serve(until: number): void {
    let served = 0;
    do this.#waiting[served++]?.();
    while (served < this.#waiting.length && performance.now() < until);
    this.#waiting = this.#waiting.slice(served);
  }
}
