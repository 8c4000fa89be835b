import type { ByteReader } from '../bytes/byte-reader.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';
import type { TimelineEntry } from '../event.ts';

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

/** Entries one column after another: alike numbers side by side deflate far better than rows do. */
export function writeEventColumns(writer: ByteWriter, entries: readonly TimelineEntry[], base: ColumnBase): void {
  const columns = {
    producer: new ByteWriter(),
    seq: new ByteWriter(),
    time: new ByteWriter(),
    stamp: new ByteWriter(),
  };
  const more = { pseq: new ByteWriter(), hlc: new ByteWriter(), length: new ByteWriter(), body: new ByteWriter(1_024) };
  const exact = new ByteWriter();
  const hasExact = entries.some((entry) => entry.exact !== undefined);
  const bases = new Map(base.producers);
  let seq = base.firstSeq - 1;
  let time = base.firstTime;
  for (const entry of entries) {
    const last = bases.get(entry.producer) ?? ORIGIN;
    columns.producer.varint(entry.producer * 2 + (entry.stamp === null ? 1 : 0));
    columns.seq.zigzag(entry.seq - seq - 1);
    columns.time.zigzagUnit(entry.time - time);
    if (entry.stamp !== null) {
      columns.stamp.zigzagUnit(entry.stamp - last.stamp - (entry.time - last.time));
      more.pseq.zigzag(entry.pseq - last.pseq - 1);
    }
    more.hlc.varint(entry.hlc);
    more.length.varint(entry.body.length);
    more.body.raw(entry.body);
    if (hasExact) exact.f64(entry.exact ?? entry.time / 1_000_000);
    seq = entry.seq;
    time = entry.time;
    bases.set(entry.producer, nextBase(last, entry));
  }
  writer.varint(entries.length);
  writeColumn(writer, Column.Producer, columns.producer, true);
  writeColumn(writer, Column.Seq, columns.seq, false);
  writeColumn(writer, Column.Time, columns.time, true);
  writeColumn(writer, Column.Stamp, columns.stamp, false);
  writeColumn(writer, Column.Pseq, more.pseq, false);
  writeColumn(writer, Column.Hlc, more.hlc, false);
  writeColumn(writer, Column.Length, more.length, true);
  writeColumn(writer, Column.Body, more.body, true);
  if (hasExact) writeColumn(writer, Column.Exact, exact, true);
}

/** A column of nothing but zero bytes says what its absence says. */
function writeColumn(writer: ByteWriter, tag: number, column: ByteWriter, always: boolean): void {
  if (!always && column.bytes().every((byte) => byte === 0)) return;
  writer.byte(tag);
  writer.varint(column.length);
  writer.raw(column.bytes());
}

/** Bodies are borrowed from the payload. Fails through the reader. */
export function readEventColumns(reader: ByteReader, base: ColumnBase): TimelineEntry[] {
  // Each entry takes a byte at least in each of three columns.
  const count = reader.count(3);
  const columns = new Map<number, ByteReader>();
  while (reader.left > 0) columns.set(reader.byte(), reader.sub(reader.varint()));
  const required = (tag: number) => columns.get(tag) ?? reader.fail(`lacks event column ${tag}`);
  const producers = required(Column.Producer);
  const times = required(Column.Time);
  const lengths = required(Column.Length);
  const bodies = required(Column.Body);
  const [seqs, stamps, pseqs] = [columns.get(Column.Seq), columns.get(Column.Stamp), columns.get(Column.Pseq)];
  const [hlcs, exacts] = [columns.get(Column.Hlc), columns.get(Column.Exact)];
  const bases = new Map(base.producers);
  const entries: TimelineEntry[] = [];
  let seq = base.firstSeq - 1;
  let time = base.firstTime;
  for (let i = 0; i < count; i++) {
    const tagged = producers.varint();
    const producer = Math.floor(tagged / 2);
    const last = bases.get(producer) ?? ORIGIN;
    seq += 1 + (seqs?.zigzag() ?? 0);
    time += times.zigzagUnit();
    const relayMade = tagged % 2 === 1;
    const stamp = relayMade ? null : last.stamp + time - last.time + (stamps?.zigzagUnit() ?? 0);
    const pseq = relayMade ? 0 : last.pseq + 1 + (pseqs?.zigzag() ?? 0);
    const hlc = hlcs?.varint() ?? 0;
    const body = bodies.raw(lengths.varint());
    const exact = exacts === undefined ? undefined : { exact: exacts.f64() };
    const entry = { seq, producer, pseq, time, hlc, stamp, ...exact, body };
    bases.set(producer, nextBase(last, entry));
    entries.push(entry);
  }
  for (const column of [producers, times, lengths, bodies, seqs, stamps, pseqs, hlcs, exacts]) column?.end();
  return entries;
}

function nextBase(last: EntryBase, { pseq, time, stamp }: TimelineEntry): EntryBase {
  return stamp === null ? { ...last, time } : { pseq, time, stamp };
}
