import timesyncPackage from 'timesync/dist/timesync.js';
import type { ClockPath } from './clock-path.ts';

const turn = setImmediate;

/** Offset from the relay's clock to the client's, from a time on, both in microseconds. */
export interface OffsetFrom {
  readonly from: number;
  readonly offset: number;
}

/**
 * What the package timesync makes of a path: five requests a second apart, those slower than the median and a deviation left
 * out, the mean of the rest; one round after another. It knows only real timers, so these are replaced while it runs.
 */
export async function timesyncOffsets(path: ClockPath, durationUs: number): Promise<OffsetFrom[]> {
  const offsets: OffsetFrom[] = [];
  const agenda: { at: number; run: () => void }[] = [];
  let now = 0;
  const plan = (at: number, run: () => void) => {
    agenda.push({ at, run });
    agenda.sort((a, b) => a.at - b.at);
  };
  const realTimeout = globalThis.setTimeout;
  const virtualTimeout = (run: () => void, ms = 0) => plan(now + ms * 1_000, run);
  Object.assign(globalThis, { setTimeout: virtualTimeout });
  try {
    const sync = timesyncPackage.create({ interval: null, peers: ['client'], now: () => now / 1_000 });
    sync.send = (_to, { id }) => {
      const there = path.arrivesDown(now);
      const result = path.clock(there) / 1_000;
      plan(path.arrivesUp(there), () => sync.receive('client', { id, result }));
      return Promise.resolve();
    };
    while (now < durationUs) {
      let isDone = false;
      void sync.sync().then(() => {
        isDone = true;
      });
      while (!isDone) {
        const next = agenda.shift();
        if (next) {
          now = next.at;
          next.run();
        }
        // Its promises go on in turns of the real event loop.
        await new Promise<void>((resolve) => turn(resolve));
      }
      offsets.push({ from: now, offset: sync.offset * 1_000 });
    }
    sync.destroy();
  } finally {
    globalThis.setTimeout = realTimeout;
  }
  return offsets;
}
