import { createdDate, GametapeError, PlayClock, type RecordingReader, type TimelineEntry } from '@gametape/shared';
import { PlayerCount, type PlayerStats } from './player-stats.ts';
import type { RecordingInfo } from './recording-info.ts';
import { SizeCount, type SizeStats } from './size-stats.ts';
import type { TestPoint } from './test-stats.ts';
import { TypeCounts } from './type-counts.ts';

const MICROSECONDS = 1_000_000;
/** A gap between two events of a player that is longer than this is idle time, in seconds. */
export const DEFAULT_IDLE_S = 5;

export interface StatsOptions {
  /** Seconds of play time: from the first up to, but without, the second. */
  readonly from?: number;
  readonly to?: number;
  readonly player?: string;
  /** @default 5 */
  readonly idleS?: number;
}

/** What happened in a recording, counted. Times are seconds of play time (T7). */
export interface RecordingStats
  extends Pick<RecordingInfo, 'recordingId' | 'room' | 'profile' | 'createdAt' | 'finished' | 'complete'> {
  /** Up to the last event where the recording was never finished. */
  readonly durationS: number;
  /** What was asked for; null where nothing was. */
  readonly asked: { readonly from: number | null; readonly to: number | null; readonly player: string | null };
  /** Longest gap that counts as active time. */
  readonly idleGapS: number;
  readonly events: number;
  readonly stateChanges: number;
  /** Most frequent first; more than 256 types are counted as "(other)". */
  readonly types: Readonly<Record<string, number>>;
  readonly players: readonly PlayerStats[];
  /** Whenever the number of a player's passing tests changes; thinned evenly to at most 257 points a player. */
  readonly tests: { readonly thinned: boolean; readonly points: readonly (TestPoint & { readonly player: string })[] };
  readonly checkpoints: readonly { readonly name: string; readonly timeS: number; readonly eventIndex: number }[];
  /** Of the room: how often play time stood still, and for how long. */
  readonly pauses: { readonly count: number; readonly totalS: number };
  /** Of the whole recording as `.lmsp`; null when only a part was asked for. */
  readonly size: SizeStats | null;
}

/**
 * Counts through a recording once, in memory that does not grow with it (R6).
 *
 * @throws GametapeError `NOT_FOUND` for a player that is not in it, `DAMAGED` naming the block.
 */
export async function recordingStats(reader: RecordingReader, options: StatsOptions = {}): Promise<RecordingStats> {
  return new StatsWalk(reader, options).run();
}

class StatsWalk {
  readonly #reader: RecordingReader;
  readonly #options: StatsOptions;
  readonly #from: number;
  readonly #to: number;
  readonly #idleS: number;
  readonly #clock: PlayClock;
  readonly #players: ReadonlyMap<string, PlayerCount>;
  #lastTime = 0;

  constructor(reader: RecordingReader, options: StatsOptions) {
    this.#reader = reader;
    this.#options = options;
    this.#from = options.from ?? 0;
    this.#to = options.to ?? Number.POSITIVE_INFINITY;
    this.#idleS = options.idleS ?? DEFAULT_IDLE_S;
    // A finished recording knows its pauses; one that is not tells them as they pass.
    this.#clock = reader.summary ? reader.playClock() : new PlayClock();
    this.#players = this.#selectPlayers(options.player);
  }

  async run(): Promise<RecordingStats> {
    const { meta, summary } = this.#reader;
    const { from, to, player } = this.#options;
    const size = from === undefined && to === undefined && player === undefined ? new SizeCount(this.#reader) : null;
    await this.#walk(size);
    const players = [...this.#players.values()];
    const stats = players.map((count) => count.toStats());
    const types = new TypeCounts();
    for (const one of stats) for (const [type, count] of Object.entries(one.types)) types.add(type, count);
    const events = stats.reduce((sum, one) => sum + one.events, 0);
    const points = players.flatMap((count) => count.testPoints().map((point) => ({ player: count.id, ...point })));
    return {
      recordingId: meta.recordingId,
      room: meta.room,
      profile: meta.profile,
      createdAt: createdDate(meta.createdAt).toISOString(),
      durationS: (summary?.durationUs ?? this.#clock.playTime(this.#lastTime)) / MICROSECONDS,
      finished: summary !== undefined,
      complete: summary?.complete ?? false,
      asked: { from: from ?? null, to: to ?? null, player: player ?? null },
      idleGapS: this.#idleS,
      events,
      stateChanges: stats.reduce((sum, one) => sum + one.stateChanges, 0),
      types: types.toJson(),
      players: stats,
      tests: {
        thinned: players.some((count) => count.areTestsThinned),
        points: points.sort((a, b) => a.timeS - b.timeS),
      },
      checkpoints: this.#checkpoints(),
      pauses: this.#pauses(),
      size: size?.toStats(events) ?? null,
    };
  }

  async #walk(size: SizeCount | null): Promise<void> {
    for await (const block of this.#reader.replayBlocks(this.#firstBlock())) {
      size?.add(block);
      for (const { entry, body, context } of block.steps()) {
        if (body.event && !this.#reader.summary) this.#clock.observe(entry.time, context.player, body.event);
        const timeS = this.#secondsOf(entry);
        if (timeS >= this.#to) return;
        this.#lastTime = Math.max(this.#lastTime, entry.time);
        if (timeS >= this.#from) this.#players.get(context.player)?.observe(timeS, body.event, context.state);
      }
    }
  }

  /** The last block that begins before what is asked for; the first of all while pauses have to be learned. */
  #firstBlock(): number {
    if (!this.#reader.summary || this.#from === 0) return 0;
    let at = 0;
    for (const [index, { firstTime }] of this.#reader.blocks.entries()) {
      if (this.#clock.playTime(firstTime) / MICROSECONDS >= this.#from) break;
      at = index;
    }
    return at;
  }

  #secondsOf({ time, exact }: TimelineEntry): number {
    return exact !== undefined && Number.isFinite(exact) ? exact : this.#clock.playTime(time) / MICROSECONDS;
  }

  #selectPlayers(asked: string | undefined): Map<string, PlayerCount> {
    const ids = new Set([...this.#reader.producers.values()].map(({ player }) => player));
    if (asked !== undefined && !ids.has(asked)) {
      const names = [...ids].slice(0, 20).join(', ') || 'none';
      const { name } = this.#reader.source;
      throw new GametapeError('NOT_FOUND', `${name}: there is no player ${asked}; its players are ${names}`);
    }
    const options = { fromS: this.#from, idleS: this.#idleS };
    const selected = asked === undefined ? [...ids] : [asked];
    return new Map(selected.map((id) => [id, new PlayerCount(id, options)]));
  }

  #checkpoints(): RecordingStats['checkpoints'] {
    const all = this.#reader.checkpoints.map(({ name, time, eventIndex }) => {
      return { name, timeS: this.#clock.playTime(time) / MICROSECONDS, eventIndex };
    });
    return all.filter(({ timeS }) => timeS >= this.#from && timeS < this.#to);
  }

  #pauses(): RecordingStats['pauses'] {
    const end = this.#reader.summary?.endedAt ?? this.#lastTime;
    const pauses = this.#clock.pauses(end).filter(([start]) => {
      const timeS = this.#clock.playTime(start) / MICROSECONDS;
      return timeS >= this.#from && timeS < this.#to;
    });
    const total = pauses.reduce((sum, [start, stop]) => sum + stop - start, 0);
    return { count: pauses.length, totalS: total / MICROSECONDS };
  }
}
