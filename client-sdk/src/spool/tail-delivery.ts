import {
  type DownMessage,
  GametapeError,
  type Hello,
  PROTOCOL_VERSIONS,
  type SessionSummary,
  type Welcome,
} from '@gametape/shared';
import { Connection } from '../connection.ts';
import { Outbox } from '../outbox.ts';
import type { Platform } from '../platform/platform.ts';
import type { SpoolContent, SpooledMessage, SpoolHead, SpoolStart } from './spool-records.ts';

export interface DeliveryOptions {
  readonly url: string;
  readonly token?: string | undefined;
  /** Longest wait for the relay to get on with it, in milliseconds. */
  readonly timeoutMs: number;
  /** It is certain that its instance recorded nothing after what is here. */
  readonly isWhole: boolean;
}

export interface Delivered {
  /** Events that the recording did not have before. */
  readonly recovered: number;
  /** Some could not be sent although they are here, or were damaged: the recording states the gap. */
  readonly lost: GametapeError | undefined;
}

/**
 * Sends what a dead instance left, as that instance: the relay knows what it has, and takes the rest (W2). A session of its own, in
 * which nothing is recorded; the next session of the player starts after it, with a vocabulary and a clock of its own.
 *
 * @throws GametapeError why the relay does not take it, or `UNREACHABLE`, `TIMED_OUT`
 */
export async function deliverTail(
  platform: Platform,
  content: SpoolContent,
  start: SpoolStart,
  options: DeliveryOptions,
): Promise<Delivered> {
  return await new TailDelivery(platform, content, start, options).run();
}

class TailDelivery {
  readonly #options: DeliveryOptions;
  readonly #head: SpoolHead;
  readonly #helloState: Uint8Array;
  readonly #lastPseq: number;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #clock: () => number;
  readonly #over: Promise<GametapeError | undefined>;
  #settle: (error: GametapeError | undefined) => void = () => {};
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lost: GametapeError | undefined;
  /** What the relay had before. */
  #hadPseq: number | undefined;
  #summary: SessionSummary | undefined;
  #saysFinal = false;
  #saysLeave = false;
  #isDone = false;

  constructor(platform: Platform, content: SpoolContent, { head, helloState }: SpoolStart, options: DeliveryOptions) {
    this.#options = options;
    this.#head = head;
    this.#helloState = helloState;
    const { messages, stable, damagedBytes } = content;
    this.#lastPseq = messages.at(-1)?.lastPseq ?? stable;
    this.#clock = clockOf(platform, messages.at(-1));
    this.#over = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#connection = new Connection(options.url, platform, {
      hello: () => this.#hello(),
      clock: () => this.#clock(),
      welcome: (welcome) => this.#welcome(welcome),
      message: (message) => this.#receive(message),
      status: (status) => status === 'live' && this.#outbox.send(),
      outOfStep: () => {},
      over: (error) => this.#settle(error),
    });
    this.#outbox = new Outbox({
      connection: this.#connection,
      flushMs: 0,
      now: () => platform.now(),
      shown: () => 0,
      recordPending: () => {},
      onAllSent: () => this.#sayFinal(),
      onLost: (_, error) => {
        this.#lost = error;
      },
    });
    this.#outbox.restore(messages, this.#lastPseq, damagedBytes > 0 ? 'damaged in the spool' : undefined);
  }

  async run(): Promise<Delivered> {
    this.#watch();
    this.#connection.open();
    const error = await this.#over;
    clearTimeout(this.#timer);
    this.#outbox.stop();
    // A recording that ends meanwhile is stable: what it accepted is in it.
    const hasAll = this.#isDone || (this.#summary !== undefined && this.#outbox.accepted >= this.#lastPseq);
    if (!hasAll) {
      if (this.#summary) throw new GametapeError('ROOM_ENDED', `recording ${this.#head.recordingId} is finished`);
      throw error ?? new GametapeError('SESSION_CLOSED', 'the connection was closed');
    }
    const recovered = this.#lastPseq - (this.#hadPseq ?? this.#lastPseq) - this.#outbox.lost;
    return { recovered: Math.max(0, recovered), lost: this.#lost };
  }

  #hello(): Hello {
    const { room, player, instance, profile, name, recordingId } = this.#head;
    const { token } = this.#options;
    return {
      kind: 'hello',
      protocols: PROTOCOL_VERSIONS,
      room,
      player,
      role: 'player',
      profile,
      instance,
      clock: this.#clock(),
      ...(name !== undefined && { name }),
      ...(token !== undefined && { token }),
      // A position that no room knows: nothing is to be shown to it.
      resume: { recordingId, epoch: 0, seq: 0 },
      state: this.#helloState,
    };
  }

  #welcome({ lastPseq }: Welcome): void {
    this.#watch();
    this.#hadPseq ??= lastPseq;
    this.#saysLeave = this.#options.isWhole;
    this.#outbox.resume(lastPseq);
  }

  #receive(message: DownMessage): void {
    switch (message.kind) {
      case 'events-down':
      case 'ack':
      case 'ping':
        this.#acks(message.acks);
        return;
      case 'expect':
        this.#outbox.resendAfter(message.pseq - 1);
        return;
      case 'need-keyframe':
        this.#outbox.giveUp(message.pseq - 1, 'the relay has another state');
        return;
      case 'ending':
        this.#saysFinal = true;
        this.#outbox.send();
        return;
      case 'ended':
        this.#summary = message.summary;
        this.#connection.close();
    }
  }

  #acks(acks: { accepted: number; stable: number }): void {
    const { accepted, stable } = this.#outbox;
    this.#outbox.acknowledge(acks);
    if (this.#outbox.accepted > accepted || this.#outbox.stable > stable) this.#watch();
    if (this.#outbox.stable < this.#lastPseq) return;
    this.#isDone = true;
    // Only what is known to be all may be called all (W6): who leaves says how much there was.
    if (this.#saysLeave) this.#connection.send({ kind: 'leave', lastPseq: this.#lastPseq });
    else if (!this.#options.isWhole) this.#connection.close();
    this.#saysLeave = false;
  }

  #sayFinal(): void {
    if (!this.#saysFinal || !this.#options.isWhole) return;
    this.#saysFinal = false;
    this.#connection.send({ kind: 'final', lastPseq: this.#lastPseq });
  }

  /** The relay has to do something within the time limit, again and again. */
  #watch(): void {
    clearTimeout(this.#timer);
    const { url, timeoutMs } = this.#options;
    const message = `${url}: what an earlier session left is not stable after ${timeoutMs} ms`;
    this.#timer = setTimeout(() => this.#connection.close(new GametapeError('TIMED_OUT', message)), timeoutMs);
  }
}

/**
 * The dead instance's own clock as it would be now. The new process has another: the wall clock tells how long ago the last message
 * was made. Where that was set meanwhile, times are off by as much, and no event is placed after its arrival (T5).
 */
function clockOf(platform: Platform, last: SpooledMessage | undefined): () => number {
  const sinceMs = last ? Date.now() - last.wallMs : 0;
  const now = (last?.clock ?? 0) + Math.max(0, sinceMs) * 1_000;
  const startedAt = platform.now() - now;
  return () => Math.round(platform.now() - startedAt);
}
