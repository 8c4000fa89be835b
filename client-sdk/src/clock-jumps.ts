import type { ClockJump } from '@gametape/shared';
import type { ClockWatch } from './clock-watch.ts';

export interface ClockJumpsOptions {
  readonly watch: ClockWatch;
  /** Number of the event that is recorded next. */
  readonly nextPseq: () => number;
  readonly clock: () => number;
  readonly send: (jump: ClockJump) => void;
}

/** Tells the relay of jumps of the producer's clock, again after a reconnection until the events after one are accepted (T2). */
export class ClockJumps {
  readonly #options: ClockJumpsOptions;
  #known: { readonly pseq: number; readonly jump: number }[] = [];
  #isWanted = false;

  constructor(options: ClockJumpsOptions) {
    this.#options = options;
  }

  /** To be called before the clock is read for a stamp or an answer. */
  check(): void {
    const jump = this.#options.watch.jumped();
    if (jump === 0) return;
    const pseq = this.#options.nextPseq();
    const before = this.#known.findLast((known) => known.pseq === pseq);
    const all = { pseq, jump: jump + (before?.jump ?? 0) };
    this.#known = [...this.#known.filter((known) => known !== before), all];
    this.#tell(all);
  }

  /** The relay has these events; it says whether it wants to be told. */
  welcomed(lastPseq: number, isWanted: boolean): void {
    this.#isWanted = isWanted;
    this.#known = this.#known.filter(({ pseq }) => pseq > lastPseq);
    for (const jump of this.#known) this.#tell(jump);
  }

  /** The connection is away: there is nobody to tell. */
  lost(): void {
    this.#isWanted = false;
  }

  #tell({ pseq, jump }: { pseq: number; jump: number }): void {
    if (this.#isWanted) this.#options.send({ kind: 'clock-jump', pseq, jump, clock: this.#options.clock() });
  }
}
