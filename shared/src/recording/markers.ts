import type { ByteReader } from '../bytes/byte-reader.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';

/** An event that whoever looks through a recording jumps to: its profile names the types (FORMAT.md). */
export interface MarkerRecord {
  readonly type: string;
  readonly producer: number;
  readonly seq: number;
  /** How many events of the recording come before it. */
  readonly eventIndex: number;
  readonly time: number;
}

/** How many markers a recording lists at most: its index stays small. */
export const MAX_MARKERS = 10_000;

/** All markers of an index, in timeline order. */
export function writeMarkers(writer: ByteWriter, markers: readonly MarkerRecord[]): void {
  const types = [...new Set(markers.map(({ type }) => type))];
  writer.varint(types.length);
  for (const type of types) writer.text(type);
  writer.varint(markers.length);
  let last = { seq: 0, eventIndex: 0, time: 0 };
  for (const marker of markers) {
    writer.varint(types.indexOf(marker.type));
    writer.varint(marker.producer);
    writer.zigzag(marker.seq - last.seq);
    writer.varint(marker.eventIndex - last.eventIndex);
    writer.zigzag(marker.time - last.time);
    last = marker;
  }
}

/** Fails through the reader. */
export function readMarkers(reader: ByteReader): MarkerRecord[] {
  const types: string[] = [];
  for (let count = reader.count(1); count > 0; count--) types.push(reader.text());
  const markers: MarkerRecord[] = [];
  const total = reader.count(5);
  if (total > MAX_MARKERS) reader.fail(`lists ${total} markers, more than ${MAX_MARKERS},`);
  let [seq, eventIndex, time] = [0, 0, 0];
  for (let count = total; count > 0; count--) {
    const type = types[reader.varint()] ?? reader.fail('has a marker of an unknown type');
    const producer = reader.varint();
    seq += reader.zigzag();
    eventIndex += reader.varint();
    time += reader.zigzag();
    if (![seq, eventIndex, time].every(Number.isSafeInteger) || seq < 0) reader.fail('has a marker out of range');
    markers.push({ type, producer, seq, eventIndex, time });
  }
  reader.end();
  return markers;
}
