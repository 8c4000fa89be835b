import {
  type ClockRecord,
  type GameEvent,
  PlayClock,
  type PlayerSummary,
  type RecordingReader,
  type RecordingSummary,
  type TimelineEntry,
} from '@gametape/shared';
import type { Problems } from './problems.ts';

/** Counts what a replay shows and compares it with the summary of the recording (W6, R4). */
export class SummaryCheck {
  readonly #reader: RecordingReader;
  readonly #problems: Problems;
  readonly #clock = new PlayClock();
  readonly #counts = new Map<string, { events: number; received: number }>();
  #lastTime = Number.NEGATIVE_INFINITY;

  constructor(reader: RecordingReader, problems: Problems) {
    this.#reader = reader;
    this.#problems = problems;
  }

  observe(entry: TimelineEntry, event: GameEvent | undefined, player: string): void {
    let count = this.#counts.get(player);
    if (!count) {
      count = { events: 0, received: 0 };
      this.#counts.set(player, count);
    }
    this.#lastTime = Math.max(this.#lastTime, entry.time);
    if (entry.stamp !== null) count.received++;
    if (!event) return;
    count.events++;
    this.#clock.observe(entry.time, player, event);
  }

  /** Something was lost: from `time` on play time is what the block that begins there says. */
  agree(time: number, { pausedUs, paused }: ClockRecord): void {
    this.#clock.agree(time, pausedUs, paused);
  }

  /** To be called after a replay that left nothing out. */
  finish(events: number): void {
    const { summary } = this.#reader;
    if (!summary) return;
    this.#expect('events', summary.events, events);
    for (const player of summary.players) this.#comparePlayer(player);
    for (const player of this.#counts.keys()) {
      if (summary.players.every(({ id }) => id !== player))
        this.#problems.add('index', `player ${player} is not in it`);
    }
    if (summary.endedAt < this.#lastTime) {
      this.#problems.add('index', `it says the recording ends at ${summary.endedAt}, before its last event`);
    }
    const pauses = JSON.stringify(this.#clock.pauses(summary.endedAt));
    this.#expect('pauses', JSON.stringify(summary.pauses), pauses);
    this.#expect('durationUs', summary.durationUs, this.#clock.playTime(summary.endedAt));
    this.#expect('complete', summary.complete, isComplete(summary));
  }

  #comparePlayer({ id, events, received, gaps }: PlayerSummary): void {
    const count = this.#counts.get(id) ?? { events: 0, received: 0 };
    this.#expect(`events of player ${id}`, events, count.events);
    this.#expect(`received of player ${id}`, received, count.received);
    const { producers, gaps: stated } = this.#reader;
    const own = stated.filter(({ producer }) => producers.get(producer)?.player === id);
    const ranges = own.map(({ firstPseq, lastPseq }) => [firstPseq, lastPseq]);
    this.#expect(`gaps of player ${id}`, JSON.stringify(gaps), JSON.stringify(ranges));
  }

  #expect(what: string, stated: number | boolean | string, found: number | boolean | string): void {
    if (stated !== found) this.#problems.add('index', `${what}: it says ${stated}, the events say ${found}`);
  }
}

function isComplete({ players }: RecordingSummary): boolean {
  return players.every(({ expected, received, gaps }) => expected === received && gaps.length === 0);
}
