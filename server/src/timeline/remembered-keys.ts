import { isLater, type Key, ORIGIN } from './key.ts';

const FEWEST = 1_024;
/** Of a busy room, 400 events a second, the last two and a half minutes; 12 bytes each. */
const MOST = 65_536;

/**
 * For each of a room's last events, by seq, the latest key that any event up to it has: whoever was shown that one has been shown
 * all of them, and what it does comes after them (T4).
 */
export class RememberedKeys {
  #times = new Float64Array(FEWEST);
  #hlcs = new Uint32Array(FEWEST);
  #firstSeq = 0;
  #lastSeq = 0;
  #latest: Key = ORIGIN;

  /** Seqs come one after another; where one is left out, all before it are forgotten. */
  add(seq: number, key: Key): void {
    if (isLater(key, this.#latest)) this.#latest = { time: key.time, hlc: key.hlc };
    const { time, hlc } = this.#latest;
    if (seq !== this.#lastSeq + 1) this.#firstSeq = seq;
    this.#lastSeq = seq;
    if (seq - this.#firstSeq >= this.#times.length) {
      if (this.#times.length < MOST) this.#grow();
      else this.#firstSeq++;
    }
    const slot = seq % this.#times.length;
    this.#times[slot] = time;
    this.#hlcs[slot] = hlc;
  }

  /** Undefined for one that is forgotten, and for 0, which is none. */
  of(seq: number): Key | undefined {
    if (seq === 0 || seq < this.#firstSeq || seq > this.#lastSeq) return undefined;
    const slot = seq % this.#times.length;
    return { time: this.#times[slot] as number, hlc: this.#hlcs[slot] as number };
  }

  #grow(): void {
    const [times, hlcs] = [this.#times, this.#hlcs];
    this.#times = new Float64Array(times.length * 2);
    this.#hlcs = new Uint32Array(times.length * 2);
    for (let seq = this.#firstSeq; seq < this.#lastSeq; seq++) {
      this.#times[seq % this.#times.length] = times[seq % times.length] as number;
      this.#hlcs[seq % this.#times.length] = hlcs[seq % times.length] as number;
    }
  }
}
