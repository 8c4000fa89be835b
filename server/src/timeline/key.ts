/** Where an event stands: room time in microseconds, and a counter that tells events of one time apart (T3). */
export interface Key {
  readonly time: number;
  readonly hlc: number;
}

export const ORIGIN: Key = { time: 0, hlc: 0 };

export function isLater(a: Key, b: Key): boolean {
  return a.time > b.time || (a.time === b.time && a.hlc > b.hlc);
}
