import type { Reel, ReelCursor, ReelStep } from './reel.ts';

/** Seconds that are looked through first for the events before a point, and how much more each time there are too few. */
const FIRST_WINDOW_S = 1;
const WIDER = 4;

/** A place on a reel: after the step `last`, or else after everything up to and including `time`. */
export interface ReelPlace {
  readonly time: number;
  readonly last: ReelStep | undefined;
}

/** Takes back the last `events` events before a place. Resolves with a cursor right after the one before them, or the first of all. */
export async function stepBack(
  reel: Reel,
  place: ReelPlace,
  events: number,
): Promise<{ cursor: ReelCursor; step: ReelStep | undefined }> {
  const end = Math.min(place.time, reel.duration);
  for (let window = FIRST_WINDOW_S; ; window *= WIDER) {
    const start = end > window ? end - window : Number.NEGATIVE_INFINITY;
    const passed = await eventsBetween(reel, start, place);
    if (passed.length <= events && start > 0) continue;
    const target = passed.at(-1 - events) ?? passed[0];
    const cursor = await reel.cursorAt(start);
    if (target === undefined) return { cursor, step: undefined };
    for (;;) {
      await cursor.nextTime();
      const step = cursor.step();
      if (step.seq === target) return { cursor, step };
    }
  }
}

/** Seqs of the events from a time on up to a place. */
async function eventsBetween(reel: Reel, start: number, { time, last }: ReelPlace): Promise<number[]> {
  const cursor = await reel.cursorAt(start);
  const seqs: number[] = [];
  // Infinite is also what there is after the last step.
  const end = Math.min(time, Number.MAX_VALUE);
  while ((await cursor.nextTime()) <= end) {
    const { seq, event } = cursor.step();
    if (event) seqs.push(seq);
    if (seq === last?.seq) break;
  }
  return seqs;
}
