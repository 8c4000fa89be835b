import { median } from './statistics.ts';

/** One side of a comparison. What it does is done anew in every round. */
export interface Side {
  readonly name: string;
  run(): Promise<unknown> | unknown;
}

/**
 * Median CPU seconds of each side, in turns, after one turn that does not count. On a machine that others use too, the clock
 * on the wall tells more about them; in turns, what disturbs a round disturbs every side.
 */
export async function cpuSeconds(sides: readonly Side[], rounds: number): Promise<Map<string, number>> {
  const seconds = new Map<string, number[]>(sides.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const { name, run } of sides) {
      const before = process.cpuUsage();
      await run();
      const { user, system } = process.cpuUsage(before);
      if (round > 0) seconds.get(name)?.push((user + system) / 1_000_000);
    }
  }
  return new Map([...seconds].map(([name, all]) => [name, median(all)]));
}
