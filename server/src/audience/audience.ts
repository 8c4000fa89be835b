import { type Ended, encodeMessage, type Position, type SpectatorCount } from '@gametape/shared';
import type { Receiver } from '../room/receiver.ts';
import type { RecentEntries } from '../room/recent-entries.ts';
import type { RoomRecording } from '../room/room-recording.ts';
import type { Seats } from '../room/seats.ts';
import type { RoomClock } from '../timeline/clock.ts';
import { AudienceCount } from './audience-count.ts';
import { AudienceMessages, type AudienceMessagesOptions } from './audience-messages.ts';
import { DueLine } from './due-line.ts';
import { Entrance } from './entrance.ts';
import type { Fragments } from './fragments.ts';
import { Hold } from './hold.ts';
import type { FlushMark, OpenBlocks } from './open-blocks.ts';
import type { ShownRoom, Standing } from './shown-room.ts';
import { SpectatorFeed } from './spectator-feed.ts';

/** What may wait in memory for its time to be shown; past that it is hidden until all of it is due (V2). */
const WAITING_BYTES = 32 * 1024 * 1024;
/** A hold that differs by more than this part of it is told at once. */
const HOLD_CHANGE = 0.25;
const HOLD_CHECK_MS = 1_000;

export interface AudienceOptions extends Omit<AudienceMessagesOptions, 'roomTime' | 'holdMs' | 'count'> {
  readonly clock: RoomClock;
  readonly seats: Seats;
  readonly recording: RoomRecording;
  readonly recent: RecentEntries;
  readonly blocks: OpenBlocks;
  readonly view: ShownRoom;
  readonly fragments: Fragments;
  /** Resolves when the journal has everything up to now, and the room itself for good. @throws GametapeError `JOURNAL_FAILED` */
  readonly settled: () => Promise<void>;
  /** Stands around whatever a timer calls (S4). */
  readonly guard: (work: () => void) => void;
}

/**
 * Those who watch a room. They are shown what the journal has and what is due (V2), and cost the players nothing: they join
 * through a turnstile, share what they are sent, and one that does not read goes on from a snapshot (W8).
 */
export class Audience {
  readonly view: ShownRoom;
  readonly fragments: Fragments;
  readonly #options: AudienceOptions;
  readonly #spectators = new Set<Receiver>();
  readonly #hold = new Hold();
  readonly #count: AudienceCount;
  readonly #messages: AudienceMessages;
  readonly #feed: SpectatorFeed;
  readonly #dueLine: DueLine;
  readonly #entrance: Entrance;
  #shown: FlushMark | undefined;
  #heldMs = 0;
  #heldAt = Number.NEGATIVE_INFINITY;
  #endTimer: NodeJS.Timeout | undefined;
  #stopped: () => void = () => {};
  #isStopped = false;

  constructor(options: AudienceOptions) {
    const { clock, seats, recent, view, fragments, blocks, guard } = options;
    this.#options = options;
    this.view = view;
    this.fragments = fragments;
    this.#count = new AudienceCount(this.#spectators, seats);
    this.#messages = new AudienceMessages({
      ...options,
      roomTime: () => this.roomTime,
      holdMs: () => this.holdMs,
      count: () => this.count,
    });
    this.#entrance = new Entrance({
      view,
      recording: options.recording,
      messages: this.#messages,
      isDelayed: this.isDelayed,
      // What is due is in the journal already.
      settled: () => (this.isDelayed ? Promise.resolve() : options.settled()),
      shownSeq: () => this.#shown?.seq,
      isHere: (receiver) => this.#spectators.has(receiver),
      entered: (receiver) => this.#entered(receiver),
    });
    const start = blocks.newestMark;
    this.#feed = new SpectatorFeed(this.isDelayed ? 0 : start.seq, {
      spectators: this.#spectators,
      clock,
      seats,
      recent,
      guard,
      snapshotBytes: () => this.#entrance.snapshotBytes,
      reset: (receiver) => void this.#entrance.reset(receiver),
    });
    this.#dueLine = new DueLine({ clock, delayUs: this.delayUs, onDue: (mark) => this.#show(mark), guard });
    blocks.onClosed = () => this.#shown && fragments.showUpTo(this.#shown);
    // Of a room that is new there is nothing to wait for.
    if (start.seq === 0) this.#show(start);
    else this.#dueLine.add(start);
  }

  get isDelayed(): boolean {
    return this.#options.delayMs > 0;
  }

  get delayMs(): number {
    return this.#options.delayMs;
  }

  get delayUs(): number {
    return this.#options.delayMs * 1_000;
  }

  /** Room time as spectators are shown it, in microseconds. */
  get roomTime(): number {
    return this.#options.clock.now() - this.delayUs;
  }

  get holdMs(): number {
    const now = performance.now();
    if (now - this.#heldAt > HOLD_CHECK_MS) {
      this.#heldAt = now;
      this.#heldMs = this.#hold.ms(this.#feed.waitMs);
    }
    return this.#heldMs;
  }

  get count(): SpectatorCount {
    return this.#count.now;
  }

  get size(): number {
    return this.#spectators.size;
  }

  /** The last point that is shown; undefined where nothing is yet. */
  get shown(): FlushMark | undefined {
    return this.#shown;
  }

  /** W5: a position, the snapshot at it, and from then on what comes after it. @throws GametapeError `JOURNAL_FAILED` */
  async join(receiver: Receiver, resume: Position | undefined): Promise<void> {
    this.#spectators.add(receiver);
    this.#count.changed();
    try {
      await this.#entrance.enter(receiver, resume);
    } catch (error) {
      this.leave(receiver);
      throw error;
    }
  }

  leave(receiver: Receiver): void {
    this.#entrance.leave(receiver);
    if (this.#spectators.delete(receiver)) this.#count.changed();
  }

  /** The journal has everything up to that mark. */
  accepted(mark: FlushMark): void {
    this.#dueLine.add(mark);
    const { view, recent } = this.#options;
    if (!this.isDelayed || recent.waitingBytes <= WAITING_BYTES) return;
    // What is hidden already comes next: were it to wait for this too, a busy room would be hidden for ever.
    this.#dueLine.keepLast({ andNext: view.isHidden });
    view.hide(mark.seq);
    recent.trim(mark.seq);
  }

  /** How exact players' times are has changed. Where there is a delay, nobody knows of a player yet whose clock is known (V2). */
  showClocks(message: Uint8Array): void {
    if (this.isDelayed) return;
    for (const receiver of this.#spectators) {
      if (receiver.isReady && receiver.knowsClocks && receiver.hasRoom) receiver.sendBytes(message);
    }
  }

  /** With every heartbeat: what time it is, and who watches if that is news. */
  beat(receiver: Receiver): void {
    if (!receiver.isReady || !receiver.hasRoom) return;
    receiver.sendBytes(this.#messages.clock());
    this.#count.tell(receiver);
  }

  /**
   * The room is over. Everybody is shown the rest and told so, when it is due.
   *
   * @param ended undefined where no recording could be made
   * @returns false if it was stopped before
   */
  async end(ended: Ended | undefined, code: number, reason: string): Promise<boolean> {
    if (this.isDelayed) {
      if (this.#isStopped) return false;
      await new Promise<void>((resolve) => {
        this.#stopped = resolve;
        this.#endTimer = setTimeout(resolve, this.#options.delayMs);
      });
      // Whoever is still here when the relay stops comes back to a recording, when that is due.
      if (this.#isStopped) return false;
      this.#dueLine.release();
    }
    this.#feed.showNow();
    const bytes = ended && encodeMessage(ended);
    for (const receiver of this.#spectators) if (bytes) receiver.sendBytes(bytes);
    this.closeAll(code, reason);
    return true;
  }

  closeAll(code: number, reason: string): void {
    for (const { peer } of this.#spectators) peer.close(code, reason);
  }

  /** Nothing is shown any more. */
  stop(): void {
    this.#isStopped = true;
    this.#feed.stop();
    this.#dueLine.stop();
    this.#count.stop();
    clearTimeout(this.#endTimer);
    this.#stopped();
  }

  /**
   * How the room stands at the point that is shown next to everybody, once the journal has it; without a mark where nothing is
   * shown yet.
   *
   * @throws GametapeError `JOURNAL_FAILED`
   */
  async standingNow(): Promise<{ standing: Standing; mark: FlushMark | undefined }> {
    const standing = this.view.standing();
    if (this.isDelayed) return { standing, mark: this.#shown };
    const settled = this.#options.settled();
    const mark = this.#options.blocks.newestMark;
    await settled;
    return { standing, mark };
  }

  #show(mark: FlushMark): void {
    const { view, recent, clock } = this.#options;
    const from = this.#shown?.seq ?? mark.seq;
    this.#shown = mark;
    view.show(mark.seq);
    const shownAt = clock.now() - this.delayUs;
    for (const { entry } of recent.between(from, mark.seq)) {
      if (entry.stamp !== null) this.#hold.add(shownAt - entry.time);
    }
    this.fragments.showUpTo(mark);
    this.#entrance.prove();
    this.#feed.showUpTo(mark.seq);
    this.#tellHold();
    recent.trim(mark.seq);
  }

  #tellHold(): void {
    const before = this.#heldMs;
    if (Math.abs(this.holdMs - before) <= before * HOLD_CHANGE) return;
    const bytes = this.#messages.clock();
    for (const receiver of this.#spectators) if (receiver.isReady && receiver.hasRoom) receiver.sendBytes(bytes);
  }

  #entered(receiver: Receiver): void {
    this.#count.hasTold(receiver);
    if (receiver.knowsClocks && !this.isDelayed) {
      receiver.send({ kind: 'clocks', errors: this.#options.seats.clockErrors });
    }
    this.#feed.showSoon();
  }
}
