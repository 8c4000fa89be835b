import type { GametapeError } from '@gametape/shared';
import type { Appended } from './journal.ts';

/** Two promises and what settles them. A caller may look at only one of them, or at neither. */
export class Pending implements Appended {
  readonly accepted: Promise<void>;
  readonly stable: Promise<void>;
  #accept: () => void = ignore;
  #rejectAccepted: (error: GametapeError) => void = ignore;
  #stabilize: () => void = ignore;
  #rejectStable: (error: GametapeError) => void = ignore;

  constructor() {
    this.accepted = new Promise((resolve, reject) => {
      this.#accept = resolve;
      this.#rejectAccepted = reject;
    });
    this.stable = new Promise((resolve, reject) => {
      this.#stabilize = resolve;
      this.#rejectStable = reject;
    });
    // A rejection that nobody waits for would end the process (J5: it must not).
    this.accepted.catch(ignore);
    this.stable.catch(ignore);
  }

  accept(): void {
    this.#accept();
  }

  stabilize(): void {
    this.#stabilize();
  }

  /** Rejects what is not settled yet. */
  reject(error: GametapeError): void {
    this.#rejectAccepted(error);
    this.#rejectStable(error);
  }
}

/** An append that was refused. */
export function rejected(error: GametapeError): Appended {
  const pending = new Pending();
  pending.reject(error);
  return pending;
}

function ignore(): void {}
