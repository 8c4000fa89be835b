import {
  type BlockContent,
  BlockKind,
  type BlockLink,
  ByteWriter,
  encodeBlock,
  encodeFileHeader,
  encodeFooter,
  encodeValue,
  LIMITS,
  makeRecordingId,
  NO_BLOCK,
  RecordType,
  SYNC_MARKER,
} from '@gametape/shared';
import { NODE_COMPRESSION } from '../../server/dist/node-compression.js';

export interface ForgedFile {
  readonly name: string;
  make(): Uint8Array;
}

const ID = makeRecordingId(1_700_000_000_000, new Uint8Array(10).fill(9));
const META = { recordingId: ID, room: 'r', profile: 'json', createdAt: 1 };
const MIB = 1024 * 1024;
const HUGE = Number.MAX_SAFE_INTEGER;
const MILLION = 1_000_000;

/** Files whose every checksum is right, and that ask for what no recording needs: memory, time, or to be walked in circles. */
export const FORGED_FILES: readonly ForgedFile[] = [
  ...Object.entries(RecordType).flatMap(([name, type]) => [
    {
      name: `a huge count in a ${name} record of a block`,
      make: () => file([block([meta(), record(type, hugeCount)])]),
    },
    { name: `a huge count in a ${name} record of the index`, make: () => indexed([meta(), record(type, hugeCount)]) },
  ]),
  {
    name: 'a block of nothing, as long as allowed',
    make: () => file([block([meta(), new Uint8Array(LIMITS.blockBytes - 200)])]),
  },
  {
    name: 'an index of nothing, as long as allowed',
    make: () => indexed([meta(), new Uint8Array(LIMITS.blockBytes - 200)]),
  },
  {
    name: 'a block that says it holds more than it does',
    make: () => lying(file([block([meta(), new Uint8Array(9_000_000)])])),
  },
  { name: 'a flood of unknown records', make: () => file([block([meta(), repeated([100, 0], 4 * MILLION)])]) },
  { name: 'a flood of unknown records in the index', make: () => indexed([meta(), repeated([100, 0], 4 * MILLION)]) },
  { name: 'a million producers', make: () => file([block([meta(), ...producers(MILLION)])]) },
  { name: 'a million producers in the index', make: () => indexed([meta(), ...producers(MILLION), summary()]) },
  {
    name: 'a million checkpoints',
    make: () => file([block([meta(), many(RecordType.Checkpoint, MILLION, checkpoint)])]),
  },
  {
    name: 'a million checkpoints in the index',
    make: () => indexed([meta(), many(RecordType.Checkpoint, MILLION, checkpoint), summary()]),
  },
  { name: 'a million gaps', make: () => file([block([meta(), many(RecordType.Gap, MILLION, gap)])]) },
  { name: 'a million gaps in the index', make: () => indexed([meta(), many(RecordType.Gap, MILLION, gap), summary()]) },
  { name: 'a million rows in the index', make: () => indexed([meta(), summary(), rows(MILLION, () => [0, 100])]) },
  { name: 'a million entries', make: () => file([block([meta(), entries(MILLION)], { events: MILLION })]) },
  {
    name: 'keyframes of 1 MiB, eight of them',
    make: () => file([block([meta(), ...keyframes(8)])]),
  },
  { name: 'a summary nested 5,000 deep', make: () => indexed([meta(), record(RecordType.Summary, nested(5_000))]) },
  {
    name: 'a summary of eight million nulls',
    make: () => indexed([meta(), record(RecordType.Summary, nulls(8 * MILLION))]),
  },
  {
    name: 'an end record of eight million nulls',
    make: () => file([block([meta(), record(RecordType.End, nulls(8 * MILLION))])]),
  },
  { name: 'rows that point into the header', make: () => indexed([meta(), summary(), rows(3, () => [0, 1])]) },
  { name: 'rows that point into the index', make: () => indexed([meta(), summary(), rows(1, () => [0, 1_000])]) },
  { name: 'rows of no length', make: () => indexed([meta(), summary(), rows(1_000, () => [0, 0])]) },
  {
    name: 'rows past the end of all files',
    make: () => indexed([meta(), summary(), rows(2, () => [HUGE - 100, HUGE])]),
  },
  { name: 'an index that follows itself', make: () => indexed([meta(), previousIndex(0)]) },
  { name: 'an index before the start of the file', make: () => indexed([meta(), previousIndex(HUGE)]) },
  { name: 'parts of an index that follow one another', make: () => file(parts(2_000)) },
  { name: 'times of 2^53', make: () => file([block([meta()], { firstTime: HUGE, lastTime: HUGE, lastSeq: HUGE })]) },
  { name: 'ten thousand headers about the same bytes', make: () => headers(10_000) },
  { name: 'nothing but sync markers', make: () => joined([header(), ...Array(100_000).fill(SYNC_MARKER)]) },
  { name: 'ten thousand empty blocks', make: () => file(Array.from({ length: 10_000 }, () => block([meta()]))) },
];

type Fields = Partial<Omit<BlockContent, 'payload' | 'previous'>>;
type MakeBlock = (previous: BlockLink) => { bytes: Uint8Array; link: BlockLink };

function block(records: readonly Uint8Array[], fields: Fields = {}): MakeBlock {
  const content = {
    kind: BlockKind.Events,
    recordingId: ID,
    epoch: 1,
    selfContained: true,
    firstSeq: 0,
    lastSeq: 0,
    firstTime: 0,
    lastTime: 0,
    events: 0,
    compress: true,
    ...fields,
  };
  const payload = joined(records);
  return (previous) => encodeBlock({ ...content, previous, payload }, NODE_COMPRESSION);
}

function file(blocks: readonly MakeBlock[]): Uint8Array {
  const parts = [header()];
  let previous = NO_BLOCK;
  for (const make of blocks) {
    const { bytes, link } = make(previous);
    parts.push(bytes);
    previous = link;
  }
  return joined(parts);
}

/** One block, an index of these records, and a footer that points at it. */
function indexed(records: readonly Uint8Array[]): Uint8Array {
  const first = file([block([meta()])]);
  const { bytes } = block(records, { kind: BlockKind.Index })(NO_BLOCK);
  const footer = { indexOffset: first.length, indexLength: bytes.length, complete: true, events: 0 };
  return joined([first, bytes, encodeFooter(footer, NODE_COMPRESSION)]);
}

function parts(count: number): MakeBlock[] {
  // Each says that the one before it begins a byte before it does.
  return Array.from({ length: count }, () => block([meta(), previousIndex(1)], { kind: BlockKind.Index }));
}

/** Headers that are intact, each about all the bytes after it, which are not what it says. */
function headers(count: number): Uint8Array {
  const length = 64 * 1024;
  const stored = Uint8Array.from({ length }, (_, i) => (i * 7919) & 0xff);
  const make = block([stored], { compress: false });
  const one = make(NO_BLOCK).bytes.subarray(0, 92);
  return joined([header(), ...Array<Uint8Array>(count).fill(one), new Uint8Array(length)]);
}

/** The first block's raw length becomes the longest, its header's checksum right. */
function lying(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(16 + 68, LIMITS.blockBytes, true);
  view.setUint32(16 + 88, NODE_COMPRESSION.crc32(bytes.subarray(16, 16 + 88)), true);
  return bytes;
}

function header(): Uint8Array {
  return encodeFileHeader(NODE_COMPRESSION);
}

function record(type: number, write: (writer: ByteWriter) => void): Uint8Array {
  const content = new ByteWriter();
  write(content);
  const writer = new ByteWriter(content.length + 16);
  writer.varint(type);
  writer.varint(content.length);
  writer.raw(content.bytes());
  return writer.take();
}

function many(type: number, count: number, write: (writer: ByteWriter, index: number) => void): Uint8Array {
  const writer = new ByteWriter();
  const content = new ByteWriter();
  for (let i = 0; i < count; i++) {
    content.truncate(0);
    write(content, i);
    writer.varint(type);
    writer.varint(content.length);
    writer.raw(content.bytes());
  }
  return writer.take();
}

function meta(): Uint8Array {
  return record(RecordType.Meta, (writer) => encodeValue(writer, META));
}

function summary(): Uint8Array {
  const value = { complete: true, endedAt: 0, durationUs: 0, events: 0, players: [], pauses: [], hashes: [] };
  return record(RecordType.Summary, (writer) => encodeValue(writer, value));
}

function hugeCount(writer: ByteWriter): void {
  for (let i = 0; i < 8; i++) writer.varint(HUGE);
}

function checkpoint(writer: ByteWriter, index: number): void {
  writer.text('c');
  for (const number of [index, 0]) writer.varint(number);
  writer.zigzag(0);
  writer.varint(0);
}

function gap(writer: ByteWriter, index: number): void {
  for (const number of [0, 2 * index + 1, 2 * index + 1]) writer.varint(number);
  writer.text('');
}

function producers(count: number): Uint8Array[] {
  return [
    many(RecordType.Producer, count, (writer, index) => {
      writer.varint(index);
      writer.text(`p${index}`);
      writer.text('');
    }),
  ];
}

function rows(count: number, row: (index: number) => readonly [distance: number, length: number]): Uint8Array {
  return record(RecordType.Blocks, (writer) => {
    writer.varint(count);
    for (let i = 0; i < count; i++) {
      for (const number of [...row(i), 0, 0, 0]) writer.varint(number);
      writer.zigzag(0);
      writer.varint(0);
      writer.u32(0);
    }
  });
}

function entries(count: number): Uint8Array {
  return record(RecordType.Events, (writer) => {
    writer.varint(count);
    for (const tag of [1, 3, 7, 8]) {
      writer.byte(tag);
      writer.varint(count);
      writer.raw(new Uint8Array(count).fill(tag === 7 ? 1 : 0));
    }
  });
}

function keyframes(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => index).flatMap((index) => [
    record(RecordType.Producer, (writer) => {
      writer.varint(index);
      writer.text(`p${index}`);
      writer.text('');
    }),
    record(RecordType.Keyframe, (writer) => {
      for (const number of [index, 0, 0, 0, 0, 0, 0, 1, 1]) writer.varint(number);
      writer.text('text');
      encodeValue(writer, ' '.repeat(MIB - 100));
      writer.varint(0);
      writer.byte(0);
    }),
  ]);
}

function nested(depth: number): (writer: ByteWriter) => void {
  return (writer) => writer.raw(new Uint8Array(depth).fill(0x91));
}

function nulls(count: number): (writer: ByteWriter) => void {
  return (writer) => {
    writer.byte(0x81);
    encodeValue(writer, 'a');
    writer.byte(0xdd);
    for (const byte of [count >>> 24, count >>> 16, count >>> 8, count]) writer.byte(byte & 0xff);
    writer.raw(new Uint8Array(count).fill(0xc0));
  };
}

function repeated(bytes: readonly number[], count: number): Uint8Array {
  return Uint8Array.from({ length: bytes.length * count }, (_, i) => bytes[i % bytes.length] as number);
}

function previousIndex(distance: number): Uint8Array {
  return record(RecordType.PreviousIndex, (writer) => writer.varint(distance));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
