import type { ClockMapRecord, TimelineEntry } from '@gametape/shared';

/** Changes of clock maps, each given out before the first entry of its producer that was placed by it. */
export class ClockMapQueue {
  readonly #waiting = new Map<number, ClockMapRecord[]>();

  /** In the order in which they were made. */
  add(maps: readonly ClockMapRecord[]): void {
    for (const map of maps) this.#waiting.set(map.producer, [...(this.#waiting.get(map.producer) ?? []), map]);
  }

  before({ producer, pseq, stamp }: TimelineEntry): readonly ClockMapRecord[] {
    const waiting = stamp === null ? undefined : this.#waiting.get(producer);
    if (!waiting?.[0] || waiting[0].pseq > pseq) return [];
    const later = waiting.findIndex((map) => map.pseq > pseq);
    return waiting.splice(0, later < 0 ? waiting.length : later);
  }

  rest(): readonly ClockMapRecord[] {
    return [...this.#waiting.values()].flat();
  }
}
