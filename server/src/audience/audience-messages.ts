import {
  encodeMessage,
  type Position,
  type RecordingMeta,
  type Resumption,
  type SpectatorCount,
} from '@gametape/shared';
import type { JoinPoint } from './join-points.ts';

const PROTOCOL = 1;
/** A welcome or a clock serves all who need one within this time. */
const SHARED_MS = 5;

export interface AudienceMessagesOptions {
  readonly meta: RecordingMeta;
  readonly epoch: number;
  readonly durability: () => string;
  readonly silenceMs: number;
  readonly delayMs: number;
  /** As spectators are shown it, in microseconds. */
  readonly roomTime: () => number;
  readonly holdMs: () => number;
  readonly count: () => SpectatorCount;
}

/** What a welcome answers to who names a position, or none. */
interface Answer {
  readonly resumption: Resumption;
  readonly epoch?: number;
  readonly lostAfter?: number | undefined;
}

/** What spectators are told of the room, encoded once for all who are told the same at one time. */
export class AudienceMessages {
  readonly #options: AudienceMessagesOptions;
  #point: JoinPoint | undefined;
  #until = 0;
  readonly #welcomes = new Map<string, Uint8Array>();
  #clock: { readonly until: number; readonly bytes: Uint8Array } | undefined;

  constructor(options: AudienceMessagesOptions) {
    this.#options = options;
  }

  /** @param lostAfter of what it had been shown, nothing after that seq is there any more (W4) */
  welcome(point: JoinPoint, resumption: Resumption, lostAfter?: number): Uint8Array {
    const now = performance.now();
    if (this.#point !== point || this.#until < now) {
      this.#welcomes.clear();
      this.#point = point;
      this.#until = now + SHARED_MS;
    }
    const which = `${resumption} ${lostAfter}`;
    const bytes = this.#welcomes.get(which) ?? this.#encodeWelcome(point, { resumption, lostAfter });
    this.#welcomes.set(which, bytes);
    return bytes;
  }

  /** To who comes back to a room of which nothing is shown yet: it stays in the epoch whose position it names. */
  welcomeUnproven(point: JoinPoint, { epoch }: Position): Uint8Array {
    return this.#encodeWelcome(point, { resumption: 'resumed', epoch });
  }

  /** What time it is. */
  clock(): Uint8Array {
    const now = performance.now();
    if (!this.#clock || this.#clock.until < now) {
      const { roomTime, holdMs } = this.#options;
      const bytes = encodeMessage({ kind: 'clock', time: roomTime(), holdMs: holdMs() });
      this.#clock = { until: now + SHARED_MS, bytes };
    }
    return this.#clock.bytes;
  }

  #encodeWelcome({ standing }: JoinPoint, { resumption, epoch = this.#options.epoch, lostAfter }: Answer): Uint8Array {
    const { meta, durability, silenceMs, delayMs, roomTime, holdMs, count } = this.#options;
    const { seq, players, pauses, paused, changes } = standing;
    return encodeMessage({
      kind: 'welcome',
      protocol: PROTOCOL,
      recordingId: meta.recordingId,
      profile: meta.profile,
      epoch,
      seq,
      resumption,
      producer: -1,
      lastPseq: 0,
      roomTime: roomTime(),
      createdAt: meta.createdAt,
      silenceMs,
      durability: durability(),
      delayMs,
      holdMs: holdMs(),
      players,
      spectators: count(),
      pauses,
      ...(paused && { paused }),
      changes,
      ...(lostAfter !== undefined && { lostAfter }),
    });
  }
}
