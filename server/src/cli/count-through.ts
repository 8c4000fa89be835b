import { PlayClock, type PlayerSummary, type RecordingReader } from '@gametape/shared';

/** What a recording without an index would have said in it, as far as its events tell. */
export interface Counts {
  readonly durationS: number;
  readonly events: number;
  readonly players: readonly PlayerSummary[];
}

export async function countThrough(reader: RecordingReader): Promise<Counts> {
  const counts = new Map<string, { events: number; received: number }>();
  const clock = new PlayClock();
  let events = 0;
  let lastTime = 0;
  for await (const { entry, body, context } of reader.steps()) {
    const count = counts.get(context.player) ?? { events: 0, received: 0 };
    counts.set(context.player, count);
    if (entry.stamp !== null) count.received++;
    lastTime = Math.max(lastTime, entry.time);
    if (!body.event) continue;
    count.events++;
    events++;
    clock.observe(entry.time, context.player, body.event);
  }
  const players = [...counts].map(([id, count]) => ({ id, ...count, expected: null, gaps: [] }));
  return { durationS: clock.playTime(lastTime) / 1_000_000, events, players };
}
