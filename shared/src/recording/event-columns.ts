import type { ByteReader } from '../bytes/byte-reader.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';
import type { TimelineEntry } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { BlockEntries, ENTRY_FIELDS, EntryField } from './block-entries.ts';

/** Columns of an events record (FORMAT.md). Others are skipped. */
const Column = { Producer: 1, Seq: 2, Time: 3, Stamp: 4, Pseq: 5, Hlc: 6, Length: 7, Body: 8, Exact: 9 } as const;

/** The numbers of a producer that its next entry is relative to, within one block. */
export interface EntryBase {
  readonly pseq: number;
  readonly time: number;
  readonly stamp: number;
}

const ORIGIN: EntryBase = { pseq: 0, time: 0, stamp: 0 };

/** Where the columns of a block start: its header's first seq and time, and the keyframes it opens with. */
export interface ColumnBase {
  readonly firstSeq: number;
  readonly firstTime: number;
  readonly producers: ReadonlyMap<number, EntryBase>;
}

/** Used by one call at a time: a relay writes a small block for every room at every flush. */
const COLUMNS = {
  producers: new ByteWriter(),
  seqs: new ByteWriter(),
  times: new ByteWriter(),
  stamps: new ByteWriter(),
  pseqs: new ByteWriter(),
  hlcs: new ByteWriter(),
  lengths: new ByteWriter(),
  bodies: new ByteWriter(1_024),
  exacts: new ByteWriter(),
};

/** Entries one column after another: alike numbers side by side deflate far better than rows do. */
export function writeEventColumns(writer: ByteWriter, entries: readonly TimelineEntry[], base: ColumnBase): void {
  const { producers, seqs, times, stamps, pseqs, hlcs, lengths, bodies, exacts } = COLUMNS;
  for (const column of Object.values(COLUMNS)) column.truncate(0);
  const hasExact = entries.some((entry) => entry.exact !== undefined);
  const lasts = new Lasts(base.producers);
  let seq = base.firstSeq - 1;
  let time = base.firstTime;
  for (const entry of entries) {
    const last = lasts.of(entry.producer);
    producers.varint(entry.producer * 2 + (entry.stamp === null ? 1 : 0));
    seqs.zigzag(entry.seq - seq - 1);
    times.zigzagUnit(entry.time - time);
    if (entry.stamp !== null) {
      stamps.zigzagUnit(entry.stamp - last.stamp - (entry.time - last.time));
      pseqs.zigzag(entry.pseq - last.pseq - 1);
      last.stamp = entry.stamp;
      last.pseq = entry.pseq;
    }
    hlcs.varint(entry.hlc);
    lengths.varint(entry.body.length);
    bodies.raw(entry.body);
    if (hasExact) exacts.f64(entry.exact ?? Number.NaN);
    seq = entry.seq;
    time = entry.time;
    last.time = time;
  }
  writer.varint(entries.length);
  writeColumn(writer, Column.Producer, producers);
  if (!isAllZero(seqs)) writeColumn(writer, Column.Seq, seqs);
  writeColumn(writer, Column.Time, times);
  if (!isAllZero(stamps)) writeColumn(writer, Column.Stamp, stamps);
  if (!isAllZero(pseqs)) writeColumn(writer, Column.Pseq, pseqs);
  if (!isAllZero(hlcs)) writeColumn(writer, Column.Hlc, hlcs);
  writeColumn(writer, Column.Length, lengths);
  writeColumn(writer, Column.Body, bodies);
  if (hasExact) writeColumn(writer, Column.Exact, exacts);
}

function writeColumn(writer: ByteWriter, tag: number, column: ByteWriter): void {
  writer.byte(tag);
  writer.varint(column.length);
  writer.raw(column.bytes());
}

/** Such a column says what its absence says. */
function isAllZero(column: ByteWriter): boolean {
  for (const byte of column.bytes()) if (byte !== 0) return false;
  return true;
}

/** Bodies are borrowed from the payload. Fails through the reader. */
export function readEventColumns(reader: ByteReader, base: ColumnBase): BlockEntries {
  const count = readCount(reader);
  const columns = new Map<number, ByteReader>();
  while (reader.left > 0) {
    const tag = reader.byte();
    if (columns.has(tag)) reader.fail(`has event column ${tag} twice`);
    columns.set(tag, reader.sub(reader.varint()));
  }
  const required = (tag: number) => columns.get(tag) ?? reader.fail(`lacks event column ${tag}`);
  const producers = required(Column.Producer);
  const times = required(Column.Time);
  const lengths = required(Column.Length);
  const bodyBytes = required(Column.Body);
  const bodies = bodyBytes.raw(bodyBytes.left);
  const [seqs, stamps, pseqs] = [columns.get(Column.Seq), columns.get(Column.Stamp), columns.get(Column.Pseq)];
  const [hlcs, exactTimes] = [columns.get(Column.Hlc), columns.get(Column.Exact)];
  const lasts = new Lasts(base.producers);
  const rows = new Float64Array(count * ENTRY_FIELDS);
  const bodyEnds = new Uint32Array(count);
  const exacts = exactTimes && new Float64Array(count);
  let seq = base.firstSeq - 1;
  let time = base.firstTime;
  let bodyEnd = 0;
  for (let i = 0; i < count; i++) {
    const tagged = producers.varint();
    const producer = tagged < 0x8000_0000 ? tagged >>> 1 : Math.floor(tagged / 2);
    const last = lasts.of(producer);
    seq += 1 + zigzagOf(seqs);
    time += times.zigzagUnit();
    let stamp = Number.NaN;
    let pseq = 0;
    if (tagged % 2 === 0) {
      stamp = last.stamp + (time - last.time) + zigzagUnitOf(stamps);
      pseq = last.pseq + 1 + zigzagOf(pseqs);
      last.stamp = stamp;
      last.pseq = pseq;
    }
    last.time = time;
    if (!isSound(seq, pseq, time, last.stamp)) reader.fail(`has an entry ${i} with numbers out of range`);
    const row = i * ENTRY_FIELDS;
    rows[row + EntryField.Producer] = producer;
    rows[row + EntryField.Seq] = seq;
    rows[row + EntryField.Time] = time;
    rows[row + EntryField.Stamp] = stamp;
    rows[row + EntryField.Pseq] = pseq;
    rows[row + EntryField.Hlc] = varintOf(hlcs);
    bodyEnd += lengths.varint();
    if (bodyEnd > bodies.length) reader.fail(`has an entry ${i} whose body ends behind all bodies`);
    bodyEnds[i] = bodyEnd;
    if (exactTimes && exacts) exacts[i] = readExact(exactTimes, i);
  }
  if (bodyEnd < bodies.length) reader.fail(`has ${bodies.length - bodyEnd} bytes of bodies too many`);
  for (const column of [producers, times, lengths, seqs, stamps, pseqs, hlcs, exactTimes]) column?.end();
  return new BlockEntries({ rows, bodyEnds, exacts, bodies });
}

/** A column that is missing is all zeros. */
function zigzagOf(column: ByteReader | undefined): number {
  return column === undefined ? 0 : column.zigzag();
}

function zigzagUnitOf(column: ByteReader | undefined): number {
  return column === undefined ? 0 : column.zigzagUnit();
}

function varintOf(column: ByteReader | undefined): number {
  return column === undefined ? 0 : column.varint();
}

/** NaN for none. */
function readExact(exacts: ByteReader, entry: number): number {
  const exact = exacts.f64();
  if (Math.abs(exact) === Number.POSITIVE_INFINITY) exacts.fail(`has an entry ${entry} at no finite time`);
  return exact;
}

/** Each entry takes a byte at least in each of three columns. */
function readCount(reader: ByteReader): number {
  const count = reader.count(3);
  return count > LIMITS.blockEntries ? reader.fail(`has ${count} entries, more than ${LIMITS.blockEntries},`) : count;
}

function isSound(seq: number, pseq: number, time: number, stamp: number): boolean {
  const isCounted = seq >= 0 && pseq >= 0 && Number.isSafeInteger(seq) && Number.isSafeInteger(pseq);
  return isCounted && Number.isSafeInteger(time) && Number.isSafeInteger(stamp);
}

/** The numbers of each producer that its next entry is relative to. */
class Lasts {
  readonly #base: ReadonlyMap<number, EntryBase>;
  readonly #lasts = new Map<number, { pseq: number; time: number; stamp: number }>();
  #producer = -1;
  #last = { ...ORIGIN };

  constructor(base: ReadonlyMap<number, EntryBase>) {
    this.#base = base;
  }

  of(producer: number): { pseq: number; time: number; stamp: number } {
    // Entries of one producer come in runs.
    if (producer === this.#producer) return this.#last;
    let last = this.#lasts.get(producer);
    if (!last) {
      const { pseq, time, stamp } = this.#base.get(producer) ?? ORIGIN;
      last = { pseq, time, stamp };
      this.#lasts.set(producer, last);
    }
    this.#producer = producer;
    this.#last = last;
    return last;
  }
}
