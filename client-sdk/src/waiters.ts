import type { GametapeError, SessionSummary } from '@gametape/shared';

interface Waiter {
  readonly pseq: number;
  readonly resolve: () => void;
  readonly reject: (error: GametapeError) => void;
}

/** The promises that a session has given and not kept yet. */
export class Waiters {
  #accepted: Waiter[] = [];
  #stable: Waiter[] = [];
  #opened: Waiter | undefined;
  #closed: (() => void)[] = [];
  #ended: { resolve: (summary: SessionSummary) => void; reject: (error: GametapeError) => void }[] = [];

  opened(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#opened = { pseq: 0, resolve, reject };
    });
  }

  open(): void {
    this.#opened?.resolve();
    this.#opened = undefined;
  }

  /** Resolves when event `pseq` is accepted; rejects when the relay refuses it. */
  accepted(pseq: number, soFar: number): Promise<void> {
    return wait(this.#accepted, pseq, soFar);
  }

  stable(pseq: number, soFar: number): Promise<void> {
    return wait(this.#stable, pseq, soFar);
  }

  /** Resolves when the connection is closed, for whatever reason. */
  closed(): Promise<void> {
    return new Promise((resolve) => this.#closed.push(resolve));
  }

  ended(): Promise<SessionSummary> {
    return new Promise((resolve, reject) => this.#ended.push({ resolve, reject }));
  }

  accept(pseq: number): void {
    this.#accepted = release(this.#accepted, pseq);
  }

  stabilize(pseq: number): void {
    this.#stable = release(this.#stable, pseq);
  }

  /** The events up to `lastPseq` that are not accepted yet never will be. */
  lose(lastPseq: number, error: GametapeError): void {
    const lost = this.#accepted.filter((waiter) => waiter.pseq <= lastPseq);
    this.#accepted = this.#accepted.filter((waiter) => waiter.pseq > lastPseq);
    for (const waiter of lost) waiter.reject(error);
  }

  /** False if nobody waits for that event. */
  refuse(pseq: number, error: GametapeError): boolean {
    const refused = this.#accepted.filter((waiter) => waiter.pseq === pseq);
    this.#accepted = this.#accepted.filter((waiter) => waiter.pseq !== pseq);
    for (const waiter of refused) waiter.reject(error);
    return refused.length > 0;
  }

  end(summary: SessionSummary): void {
    for (const { resolve } of this.#ended.splice(0)) resolve(summary);
  }

  /** The connection is over: who waits for that is done, everybody else has waited in vain. */
  close(error: GametapeError): void {
    for (const resolve of this.#closed.splice(0)) resolve();
    this.failAll(error);
  }

  failAll(error: GametapeError): void {
    this.#opened?.reject(error);
    this.#opened = undefined;
    for (const waiter of [...this.#accepted.splice(0), ...this.#stable.splice(0)]) waiter.reject(error);
    for (const { reject } of this.#ended.splice(0)) reject(error);
  }
}

function wait(waiters: Waiter[], pseq: number, soFar: number): Promise<void> {
  if (pseq <= soFar) return Promise.resolve();
  return new Promise((resolve, reject) => waiters.push({ pseq, resolve, reject }));
}

/** Resolves whoever waits for `pseq` or less; returns the others. */
function release(waiters: Waiter[], pseq: number): Waiter[] {
  const left = waiters.filter((waiter) => waiter.pseq > pseq);
  for (const waiter of waiters) if (waiter.pseq <= pseq) waiter.resolve();
  return left;
}
