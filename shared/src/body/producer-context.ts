import { ByteReader } from '../bytes/byte-reader.ts';
import type { Crc32 } from '../bytes/crc32.ts';
import { type ErrorCode, located } from '../errors.ts';
import type { Body, TimelineEntry } from '../event.ts';
import type { Profile } from '../profile/profile.ts';
import { LiveState } from '../state/live-state.ts';
import { decodeBody } from './decode-body.ts';
import { Vocabulary } from './vocabulary.ts';

/**
 * All that decoding the next body of one producer needs: its vocabulary, its state, and the numbers that the next entry is
 * relative to. The relay, a journal, a reader and a spectator each keep one per producer, and they agree.
 */
export class ProducerContext {
  readonly index: number;
  readonly player: string;
  readonly instance: string;
  readonly vocabulary: Vocabulary;
  readonly state: LiveState;
  /** Of the last entry: pseq, placed time, hybrid logical counter; and the last stamp of the producer's own clock. */
  pseq = 0;
  time = 0;
  hlc = 0;
  stamp = 0;

  constructor(profile: Profile, identity: { index: number; player: string; instance: string }) {
    this.index = identity.index;
    this.player = identity.player;
    this.instance = identity.instance;
    this.vocabulary = new Vocabulary(profile);
    this.state = new LiveState(profile);
  }

  /**
   * Decodes the body of the next entry and applies its change, whole or not at all.
   *
   * @param check refuses the body, and the state it leads to, by throwing: then all is as it was before.
   * @throws GametapeError of the given code for bad bytes, `BAD_DELTA` or `LIMIT_EXCEEDED` for a change that does not fit.
   */
  read(body: Uint8Array, stamp: number, code: ErrorCode, crc32?: Crc32, check?: (body: Body) => void): Body {
    const mark = this.vocabulary.mark();
    const decoded = decodeBody(new ByteReader(body, code), this.vocabulary, this.state);
    try {
      const checkBody = check && (() => check(decoded));
      if (decoded.change) this.state.apply(decoded.change, stamp, crc32, checkBody);
      else {
        checkBody?.();
        this.state.stamp = stamp;
      }
    } catch (error) {
      this.vocabulary.reset(mark);
      throw error;
    }
    return decoded;
  }

  /** `read`, for an entry that has its place: the next one will be relative to it. */
  advance(entry: TimelineEntry, code: ErrorCode, crc32?: Crc32): Body {
    try {
      if (entry.pseq > this.pseq + 1) this.restart();
      const body = this.read(entry.body, entry.stamp ?? this.stamp, code, crc32);
      this.follow(entry);
      return body;
    } catch (error) {
      throw located(`event ${entry.seq} of player ${this.player}`, error);
    }
  }

  /** The events up to `pseq` will not come. */
  skipTo(pseq: number): void {
    if (pseq <= this.pseq) return;
    this.pseq = pseq;
    this.restart();
  }

  /** After a gap the vocabulary starts over: what the lost bodies defined is not known, and nobody refers to it (W3, D3). */
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
}
