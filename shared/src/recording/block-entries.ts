import type { TimelineEntry } from '../event.ts';

/** Where an entry stands in its recording. */
export type EntryPlace = Pick<TimelineEntry, 'seq' | 'producer' | 'time' | 'hlc' | 'exact'>;

/** Numbers of an entry in `EntryNumbers.rows`, side by side. */
export const EntryField = { Producer: 0, Seq: 1, Time: 2, Stamp: 3, Pseq: 4, Hlc: 5 } as const;
export const ENTRY_FIELDS = 6;

export interface EntryNumbers {
  /** `ENTRY_FIELDS` of each entry; a stamp of NaN is none. */
  readonly rows: Float64Array;
  /** Where each body ends among the bodies, which lie one after another. */
  readonly bodyEnds: Uint32Array;
  /** NaN where an entry has no exact time; undefined if none has. */
  readonly exacts: Float64Array | undefined;
  readonly bodies: Uint8Array;
}

/**
 * The entries of a block, which become objects one at a time: a seek needs a few hundred of the thousands that a block has,
 * and making all of them, each with a view of its body, took longer than inflating the block.
 */
export class BlockEntries implements Iterable<TimelineEntry> {
  readonly length: number;
  readonly #rows: Float64Array;
  readonly #bodyEnds: Uint32Array;
  readonly #exacts: Float64Array | undefined;
  readonly #bodies: Uint8Array;

  constructor({ rows, bodyEnds, exacts, bodies }: EntryNumbers) {
    this.length = bodyEnds.length;
    this.#rows = rows;
    this.#bodyEnds = bodyEnds;
    this.#exacts = exacts;
    this.#bodies = bodies;
  }

  static none(): BlockEntries {
    const [rows, bodyEnds, bodies] = [new Float64Array(0), new Uint32Array(0), new Uint8Array(0)];
    return new BlockEntries({ rows, bodyEnds, exacts: undefined, bodies });
  }

  /** Entry `index`, a new object at each call. Its body is borrowed. */
  at(index: number): TimelineEntry {
    const rows = this.#rows;
    const row = index * ENTRY_FIELDS;
    const stamp = rows[row + EntryField.Stamp] as number;
    const start = index === 0 ? 0 : (this.#bodyEnds[index - 1] as number);
    const { buffer, byteOffset } = this.#bodies;
    // All entries are of one shape: those without an exact time have it undefined.
    return {
      seq: rows[row + EntryField.Seq] as number,
      producer: rows[row + EntryField.Producer] as number,
      pseq: rows[row + EntryField.Pseq] as number,
      time: rows[row + EntryField.Time] as number,
      hlc: rows[row + EntryField.Hlc] as number,
      stamp: Number.isNaN(stamp) ? null : stamp,
      exact: this.#exactAt(index),
      body: new Uint8Array(buffer, byteOffset + start, (this.#bodyEnds[index] as number) - start),
    };
  }

  producerAt(index: number): number {
    return this.#rows[index * ENTRY_FIELDS + EntryField.Producer] as number;
  }

  placeAt(index: number): EntryPlace {
    const row = index * ENTRY_FIELDS;
    return {
      seq: this.#rows[row + EntryField.Seq] as number,
      producer: this.#rows[row + EntryField.Producer] as number,
      time: this.#rows[row + EntryField.Time] as number,
      hlc: this.#rows[row + EntryField.Hlc] as number,
      exact: this.#exactAt(index),
    };
  }

  *[Symbol.iterator](): Generator<TimelineEntry, undefined> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }

  #exactAt(index: number): number | undefined {
    const exact = this.#exacts?.[index];
    return exact === undefined || Number.isNaN(exact) ? undefined : exact;
  }
}
