import type { Clocks } from '@gametape/shared';
import type { PlayerView } from './api.ts';
import { toSeconds } from './producer.ts';

/** How exact the times of each producer are, as the relay has told last (T2). */
export class ClockErrors {
  readonly #errors = new Map<number, number | null>();

  take({ errors }: Clocks): void {
    for (const [producer, errorUs] of errors) this.#errors.set(producer, errorUs);
  }

  clear(): void {
    this.#errors.clear();
  }

  /** Bound of the error, in seconds; undefined where none is known. */
  of(producer: number): number | undefined {
    const errorUs = this.#errors.get(producer);
    return errorUs === undefined || errorUs === null ? undefined : toSeconds(errorUs);
  }

  /** A player with the bound of its producer's times. */
  withClock({ id, connected, name }: PlayerView, producer: number): PlayerView {
    const clockErrorS = this.of(producer);
    return { id, connected, ...(name !== undefined && { name }), ...(clockErrorS !== undefined && { clockErrorS }) };
  }
}
