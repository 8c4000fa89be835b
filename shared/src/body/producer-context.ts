import { ByteReader } from '../bytes/byte-reader.ts';
import type { Crc32 } from '../bytes/crc32.ts';
import { type ErrorCode, located } from '../errors.ts';
import type { Body, GameEvent, TimelineEntry } from '../event.ts';
import type { Profile } from '../profile/profile.ts';
import { LiveState } from '../state/live-state.ts';
import { BodyForm } from './body-layout.ts';
import { hasKeyframe, readBody, readChange, readEvent } from './decode-body.ts';
import { Vocabulary } from './vocabulary.ts';

/** What changes that wait may weigh, over what a block can hold: without it, who never asks for a state would keep them all (R6). */
const MAX_WAITING_BYTES = 2 * 1024 * 1024;
/** What an entry that waits weighs beside its body, roughly. */
const WAITING_OVERHEAD = 128;
/** Values of a `BodyForm`. */
const FORMS = 4;

/**
 * All that decoding the next body of one producer needs: its vocabulary, its state, and the numbers that the next entry is
 * relative to. The relay, a journal, a reader and a spectator each keep one per producer, and they agree.
 *
 * Changes that `skim` put off are made as soon as the state or the vocabulary is asked for: nobody sees them missing.
 */
export class ProducerContext {
  readonly index: number;
  readonly player: string;
  readonly instance: string;
  readonly #vocabulary: Vocabulary;
  readonly #state: LiveState;
  /** Of the last entry: pseq, placed time, hybrid logical counter; and the last stamp of the producer's own clock. */
  pseq = 0;
  time = 0;
  hlc = 0;
  stamp = 0;
  /**
   * Entries whose changes are still to be made; of each where its state part starts, times 4, and its form; and the text that
   * an echo in it stands for. Columns, as a reader of events fills them and throws them away.
   */
  #waiting: TimelineEntry[] = [];
  #waitingStarts: number[] = [];
  #waitingEchoes: (string | undefined)[] = [];
  #waitingBytes = 0;
  /** The last stamp before those of the entries that wait. */
  #waitingStamp = 0;
  /** How those that wait are read, as `skim` was last told. */
  #code: ErrorCode = 'DAMAGED';
  #crc32: Crc32 | undefined;

  constructor(profile: Profile, identity: { index: number; player: string; instance: string }) {
    this.index = identity.index;
    this.player = identity.player;
    this.instance = identity.instance;
    this.#vocabulary = new Vocabulary(profile);
    this.#state = new LiveState(profile);
  }

  /** @throws GametapeError for a change that `skim` put off, naming its event: as `advance` would have, and every time. */
  get vocabulary(): Vocabulary {
    if (this.#waiting.length > 0) this.#catchUp();
    return this.#vocabulary;
  }

  /** @throws as `vocabulary` does */
  get state(): LiveState {
    if (this.#waiting.length > 0) this.#catchUp();
    return this.#state;
  }

  /**
   * Decodes the body of the next entry and applies its change, whole or not at all.
   *
   * @param check refuses the body, and the state it leads to, by throwing: then all is as it was before.
   * @throws GametapeError of the given code for bad bytes, `BAD_DELTA` or `LIMIT_EXCEEDED` for a change that does not fit.
   */
  read(body: Uint8Array, stamp: number, code: ErrorCode, crc32?: Crc32, check?: (body: Body) => void): Body {
    const { vocabulary, state } = this;
    const mark = vocabulary.mark();
    try {
      const decoded = readBody(new ByteReader(body, code), vocabulary, state);
      if (decoded.change) state.apply(decoded.change, stamp, crc32, check && (() => check(decoded)));
      else {
        check?.(decoded);
        state.stamp = stamp;
      }
      return decoded;
    } catch (error) {
      vocabulary.reset(mark);
      throw error;
    }
  }

  /** `read`, for an entry that has its place: the next one will be relative to it. */
  advance(entry: TimelineEntry, code: ErrorCode, crc32?: Crc32): Body {
    if (this.#waiting.length > 0) this.#catchUp();
    try {
      if (this.#startsOver(entry)) this.restart();
      const body = this.read(entry.body, entry.stamp ?? this.stamp, code, crc32);
      this.follow(entry);
      return body;
    } catch (error) {
      throw located(`event ${entry.seq} of player ${this.player}`, error);
    }
  }

  /**
   * `advance`, for those who want the event and perhaps never the state: the change is decoded and applied when `state` is
   * next asked for, or when many wait. Until then the entry's body must stay as it is.
   */
  skim(entry: TimelineEntry, code: ErrorCode, crc32?: Crc32): GameEvent | undefined {
    if (this.#startsOver(entry)) this.restart();
    if (this.#waitingBytes > MAX_WAITING_BYTES) this.#catchUp();
    const mark = this.#vocabulary.mark();
    try {
      const reader = new ByteReader(entry.body, code);
      const { event, form, echo } = readEvent(reader, this.#vocabulary);
      if (this.#waiting.length === 0) this.#waitingStamp = this.stamp;
      this.#waiting.push(entry);
      this.#waitingStarts.push(reader.position * FORMS + form);
      this.#waitingEchoes.push(echo);
      this.#waitingBytes += entry.body.length + WAITING_OVERHEAD;
      this.#code = code;
      this.#crc32 = crc32;
      this.follow(entry);
      return event;
    } catch (error) {
      this.#vocabulary.reset(mark);
      throw located(`event ${entry.seq} of player ${this.player}`, error);
    }
  }

  /** The events up to `pseq` will not come. */
  skipTo(pseq: number): void {
    if (pseq <= this.pseq) return;
    this.pseq = pseq;
    this.restart();
  }

  /**
   * The vocabulary starts over: after a gap, as what the lost bodies defined is not known, and nobody refers to it (W3, D3); and
   * with a keyframe that the relay made, so that both sides of a rewind agree on where they are (T8).
   */
  restart(): void {
    this.vocabulary.reset({ templates: 0, names: 0 });
  }

  /** Takes over the numbers of an entry whose body has been read. */
  follow(entry: TimelineEntry): void {
    if (entry.pseq > 0) this.pseq = entry.pseq;
    if (entry.stamp !== null) this.stamp = entry.stamp;
    this.time = entry.time;
    this.hlc = entry.hlc;
  }

  #startsOver({ pseq, stamp, body }: TimelineEntry): boolean {
    return pseq > this.pseq + 1 || (stamp === null && hasKeyframe(body));
  }

  /** Makes the changes that wait. One that is bad stays the first that waits. */
  #catchUp(): void {
    let made = 0;
    try {
      for (; made < this.#waiting.length; made++) {
        const entry = this.#waiting[made] as TimelineEntry;
        const stamp = entry.stamp ?? this.#waitingStamp;
        this.#change(entry, stamp, this.#waitingStarts[made] as number, this.#waitingEchoes[made]);
        this.#waitingStamp = stamp;
      }
    } finally {
      this.#waiting = this.#waiting.slice(made);
      this.#waitingStarts = this.#waitingStarts.slice(made);
      this.#waitingEchoes = this.#waitingEchoes.slice(made);
      if (this.#waiting.length === 0) this.#waitingBytes = 0;
    }
  }

  #change({ body, seq }: TimelineEntry, stamp: number, start: number, echo: string | undefined): void {
    const form = (start % FORMS) as BodyForm;
    if (form === BodyForm.None) {
      this.#state.stamp = stamp;
      return;
    }
    const mark = this.#vocabulary.mark();
    try {
      const reader = new ByteReader(body, this.#code, Math.floor(start / FORMS));
      const change = readChange(reader, this.#vocabulary, this.#state, form, echo);
      this.#state.apply(change, stamp, this.#crc32);
    } catch (error) {
      this.#vocabulary.reset(mark);
      throw located(`event ${seq} of player ${this.player}`, error);
    }
  }
}
