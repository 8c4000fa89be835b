import { readFile } from 'node:fs/promises';
import type { RelayProcess } from '../support/relay.ts';
import { within } from '../support/wait-for.ts';
import { type CheckedCounts, newCounts } from './player-check.ts';
import { checkRoom, type VanishedPlayer } from './room-check.ts';
import { Typist } from './typist.ts';

/** Far more than the SDK's backoff comes to: only what never happens takes so long. */
export const RETURN_LIMIT_MS = 120_000;
const END_LIMIT_MS = 120_000;

export interface TypingOptions {
  /** @default 4 */
  readonly rooms?: number;
  /** @default 4 */
  readonly players?: number;
  /** Of one player; by default all together make some 800 events a second. @default 20 */
  readonly everyMs?: number;
}

export interface TypingCounts extends CheckedCounts {
  /** How often a player came back. */
  returns: number;
  /** Promises that a relay did not keep at a player's return. */
  brokenAccepted: number;
  brokenStable: number;
}

export interface TypingOutcome {
  /** What is wrong with the recordings; empty when they are what the players did. */
  readonly problems: readonly string[];
  readonly counts: TypingCounts;
}

/** Rooms full of players that type whatever happens, until the rooms are ended and their recordings compared with the players' logs. */
export class TypingRooms {
  readonly names: readonly string[];
  readonly typists: readonly Typist[];

  private constructor(names: readonly string[], typists: readonly Typist[]) {
    this.names = names;
    this.typists = typists;
  }

  static async start(url: string, options: TypingOptions = {}): Promise<TypingRooms> {
    const { rooms = 4, players = 4, everyMs = 20 } = options;
    const names = Array.from({ length: rooms }, (_, i) => `room-${i}`);
    const typists: Typist[] = [];
    try {
      for (const room of names) {
        const joining = Array.from({ length: players }, (_, i) => Typist.start(url, room, `p${i}`, everyMs));
        typists.push(...(await Promise.all(joining)));
      }
    } catch (error) {
      for (const typist of typists) typist.stop();
      throw error;
    }
    return new TypingRooms(names, typists);
  }

  get typed(): number {
    return this.typists.reduce((sum, { typed }) => sum + typed.length, 0);
  }

  get back(): number {
    return this.typists.filter(({ isBack }) => isBack).length;
  }

  get areAllBack(): boolean {
    return this.back === this.typists.length;
  }

  /** Accepted events that were gone when their player came back, so far. */
  get broken(): number {
    return this.typists.reduce((sum, { witness }) => sum + witness.lostAccepted, 0);
  }

  get areAllLive(): boolean {
    return this.typists.every(({ isLive }) => isLive);
  }

  /** Everybody has so many events accepted. */
  haveAccepted(events: number): boolean {
    return this.typists.every(({ session }) => session.status.accepted >= events);
  }

  stop(): void {
    for (const typist of this.typists) typist.stop();
  }

  /** Ends every room and reads its recording; one of them may have had a player that is gone for good. */
  async endAndCheck(
    relay: Pick<RelayProcess, 'recordingPath'>,
    gone?: { room: string; player: VanishedPlayer },
  ): Promise<TypingOutcome> {
    this.stop();
    const verdicts = await Promise.all(
      this.names.map(async (room) => {
        const players = this.typists.filter(({ session }) => session.room === room);
        const [first] = players as [Typist];
        const { recordingId } = await within(`${room} to end`, first.session.end(), END_LIMIT_MS);
        const bytes = await readFile(relay.recordingPath(recordingId));
        const vanished = gone?.room === room ? gone.player : undefined;
        const { problems, counts } = await checkRoom(bytes, { players: players.map(({ log }) => log), vanished });
        return { counts, problems: problems.map((problem) => `${room}: ${problem}`) };
      }),
    );
    const counts: TypingCounts = { ...newCounts(), returns: 0, brokenAccepted: 0, brokenStable: 0 };
    for (const verdict of verdicts) {
      for (const name of Object.keys(verdict.counts) as (keyof CheckedCounts)[]) counts[name] += verdict.counts[name];
    }
    for (const { witness } of this.typists) {
      counts.returns += witness.welcomes - 1;
      counts.brokenAccepted += witness.lostAccepted;
      counts.brokenStable += witness.lostStable;
    }
    return { counts, problems: verdicts.flatMap(({ problems }) => problems) };
  }
}

/** The counts of an outcome in which nothing went wrong: all of `TypingCounts` that must be 0. */
export const NOTHING_LOST = {
  lost: 0,
  lostAccepted: 0,
  lostStable: 0,
  twice: 0,
  outOfOrder: 0,
  wrong: 0,
  brokenAccepted: 0,
  brokenStable: 0,
} as const;
