import type { Position } from '@gametape/shared';
import type { Receiver } from '../room/receiver.ts';
import type { RoomRecording } from '../room/room-recording.ts';
import { Turnstile } from '../turnstile.ts';
import type { AudienceMessages } from './audience-messages.ts';
import { type JoinPoint, JoinPoints, type JoinPointsOptions } from './join-points.ts';

export interface EntranceOptions extends JoinPointsOptions {
  readonly messages: AudienceMessages;
  readonly recording: Pick<RoomRecording, 'covers' | 'lostAfter'>;
  readonly isDelayed: boolean;
  /** Seq of the last that is shown; undefined where nothing is yet. */
  readonly shownSeq: () => number | undefined;
  readonly isHere: (receiver: Receiver) => boolean;
  /** It is in, and has been told of all up to its position. */
  readonly entered: (receiver: Receiver) => void;
}

/**
 * Where spectators come in: with a position, the snapshot at it, and from then on what comes after it (W5); who comes back is
 * resumed where that is possible. In a room with a delay no answer tells more than is due (V2).
 */
export class Entrance {
  readonly #options: EntranceOptions;
  readonly #joinPoints: JoinPoints;
  readonly #turnstile = new Turnstile();
  /** Where those stand who came back before anything was shown: whether that is so can only be told then. */
  readonly #unproven = new Map<Receiver, Position>();

  constructor(options: EntranceOptions) {
    this.#options = options;
    this.#joinPoints = new JoinPoints(options);
  }

  /** Bytes of the last snapshot that was taken. */
  get snapshotBytes(): number {
    return this.#joinPoints.snapshotBytes;
  }

  /** @throws GametapeError `JOURNAL_FAILED` */
  async enter(receiver: Receiver, resume: Position | undefined): Promise<void> {
    const point = await this.#joinPoints.next();
    const wasNothingShown = this.#isNothingShown;
    await this.#turnstile.pass(() => {
      if (!resume) this.#begin(receiver, point, 'new');
      else if (this.#isNothingShown) this.#resumeUnproven(receiver, point, resume);
      // It may have begun to be shown since that point was taken.
      else if (this.#hasShown(resume)) this.#resume(receiver, wasNothingShown ? this.#pointNow() : point, resume);
      else this.#begin(receiver, point, 'reset', this.#lostAfter(resume));
    });
  }

  leave(receiver: Receiver): void {
    this.#unproven.delete(receiver);
  }

  /** Something is shown: whether those who came back before it stand where they said they do can be told now. */
  prove(): void {
    if (this.#unproven.size === 0) return;
    const point = this.#pointNow();
    for (const [receiver, position] of this.#unproven) {
      if (this.#hasShown(position)) this.#resume(receiver, point, position);
      else void this.reset(receiver, this.#lostAfter(position));
    }
    this.#unproven.clear();
  }

  /**
   * It goes on from where the room is now (W8).
   *
   * @param lostAfter of what it had been shown, nothing after that seq is there any more
   */
  async reset(receiver: Receiver, lostAfter?: number): Promise<void> {
    receiver.isReady = false;
    try {
      const point = await this.#joinPoints.next();
      await this.#turnstile.pass(() => {
        if (this.#options.isHere(receiver)) this.#begin(receiver, point, 'reset', lostAfter);
      });
    } catch {
      // The journal has failed: the room is about to be closed.
      receiver.drop();
    }
  }

  /** It has come back, and nothing of it is due yet. */
  get #isNothingShown(): boolean {
    const { isDelayed, shownSeq } = this.#options;
    return isDelayed && shownSeq() === undefined;
  }

  /** With a delay, nobody learns by naming positions how far the room has really come (V2). */
  #hasShown(position: Position): boolean {
    return position.seq <= this.#tellableSeq(position) && this.#options.recording.covers(position);
  }

  #lostAfter(position: Position): number | undefined {
    const { epoch, seq } = position;
    if (epoch === 0) return undefined;
    const kept = Math.min(this.#options.recording.lostAfter(position) ?? seq, this.#tellableSeq(position));
    return kept < seq ? kept : undefined;
  }

  #tellableSeq({ seq }: Position): number {
    const { isDelayed, shownSeq } = this.#options;
    return isDelayed ? (shownSeq() ?? 0) : seq;
  }

  #begin(receiver: Receiver, point: JoinPoint, resumption: 'new' | 'reset', lostAfter?: number): void {
    receiver.sendBytes(this.#options.messages.welcome(point, resumption, lostAfter));
    receiver.sendSnapshotParts(point.snapshot);
    this.#ready(receiver, point.standing.seq);
  }

  /** The relay has come back, and nothing is due yet: no answer may depend on what there will be (V2). */
  #resumeUnproven(receiver: Receiver, point: JoinPoint, resume: Position): void {
    this.#unproven.set(receiver, resume);
    receiver.sendBytes(this.#options.messages.welcomeUnproven(point, resume));
    this.#ready(receiver, resume.seq);
  }

  #resume(receiver: Receiver, point: JoinPoint, { seq }: Position): void {
    receiver.sendBytes(this.#options.messages.welcome(point, 'resumed'));
    this.#ready(receiver, seq);
  }

  /** For who needs no snapshot. What a room with a delay shows is in the journal. */
  #pointNow(): JoinPoint {
    return { standing: this.#options.view.standing(), snapshot: [] };
  }

  #ready(receiver: Receiver, seq: number): void {
    receiver.position = seq;
    receiver.isReady = true;
    this.#options.entered(receiver);
  }
}
