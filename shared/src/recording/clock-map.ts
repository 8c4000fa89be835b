import type { ByteReader } from '../bytes/byte-reader.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import type { ClockLine } from './clock-line.ts';

/** How often a clock could not be believed, from the start of its room's epoch on (T5). */
export interface ClockCounts {
  /** Events that would have been placed after their arrival. */
  readonly ahead: number;
  /** Events that would have been placed before one that their player had been shown. */
  readonly early: number;
  /** Events whose stamp or place went back. */
  readonly backwards: number;
  /** Proofs that the clock jumped, was set or stood still. */
  readonly alarms: number;
}

/** A change of the map from one producer's clock to room time: events from `pseq` on are placed by it, until the next (T2). */
export interface ClockMapRecord extends ClockLine, ClockCounts {
  readonly producer: number;
  readonly pseq: number;
  /** Incarnation of the room's journal, and within it how often this producer's clock has started anew. */
  readonly epoch: number;
  readonly clockEpoch: number;
  /** No event placed by it is further from the truth than this, in microseconds; null while nothing is certain. */
  readonly errorUs: number | null;
  /** How far probes lie from the map, typically, in microseconds. */
  readonly typicalUs: number;
}

/** All changes in a block, in the order in which they were made. */
export function writeClockMaps(writer: ByteWriter, maps: readonly ClockMapRecord[]): void {
  writer.varint(maps.length);
  for (const map of maps) {
    for (const number of [map.producer, map.pseq, map.epoch, map.clockEpoch]) writer.varint(number);
    for (const number of [map.stamp, map.time - map.stamp, map.offset - map.time + map.stamp, map.drift]) {
      writer.zigzag(number);
    }
    writer.varint(map.errorUs === null ? 0 : map.errorUs + 1);
    for (const number of [map.typicalUs, map.ahead, map.early, map.backwards, map.alarms]) writer.varint(number);
  }
}

/** Fails through the reader. */
export function readClockMaps(reader: ByteReader): ClockMapRecord[] {
  const maps: ClockMapRecord[] = [];
  for (let count = reader.count(14); count > 0; count--) maps.push(readClockMap(reader));
  return maps;
}

function readClockMap(reader: ByteReader): ClockMapRecord {
  const [producer, pseq, epoch, clockEpoch] = [reader.varint(), reader.varint(), reader.varint(), reader.varint()];
  const stamp = reader.zigzag();
  const time = stamp + reader.zigzag();
  const offset = time - stamp + reader.zigzag();
  const drift = reader.zigzag();
  const error = reader.varint();
  if (![time, offset].every(Number.isSafeInteger)) reader.fail('has a clock map over 2^53');
  return {
    producer,
    pseq,
    epoch,
    clockEpoch,
    stamp,
    time,
    offset,
    drift,
    errorUs: error === 0 ? null : error - 1,
    typicalUs: reader.varint(),
    ahead: reader.varint(),
    early: reader.varint(),
    backwards: reader.varint(),
    alarms: reader.varint(),
  };
}
