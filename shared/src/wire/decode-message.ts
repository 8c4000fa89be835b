import { ByteReader } from '../bytes/byte-reader.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';
import { GametapeError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import {
  type Acks,
  type Chunk,
  type Clocks,
  type DownMessage,
  EVENTS_FLAGS,
  type EventDown,
  EventsFlag,
  type EventUp,
  MessageByte,
  type RewindBase,
  type UpMessage,
} from './messages.ts';
import { readEnded, readHello, readMap, readNotice, readWelcome } from './read-maps.ts';

/**
 * Reads a message that a client sent (W11). Bodies are borrowed from `bytes`.
 *
 * @throws GametapeError `BAD_MESSAGE` naming what is wrong and at which byte.
 */
export function decodeUpMessage(bytes: Uint8Array): UpMessage {
  const reader = new ByteReader(bytes, 'BAD_MESSAGE');
  const first = reader.byte();
  if ((first & ~EVENTS_FLAGS) === MessageByte['events-up']) return readEventsUp(reader, first & EVENTS_FLAGS);
  switch (first) {
    case MessageByte.hello:
      return readHello(reader);
    case MessageByte.pong:
      return ended(reader, { kind: 'pong', id: reader.varint(), received: reader.varint(), sent: reader.varint() });
    case MessageByte['clock-jump']:
      return readClockJump(reader);
    case MessageByte.gap:
      return readGap(reader);
    case MessageByte.leave:
      return ended(reader, { kind: 'leave', lastPseq: reader.varint() });
    case MessageByte.final:
      return ended(reader, { kind: 'final', lastPseq: reader.varint() });
    case MessageByte.end:
      return ended(reader, { kind: 'end', lastPseq: reader.varint(), outcome: readMap(reader) });
    case MessageByte.rewind:
      return ended(reader, { kind: 'rewind', name: reader.text() });
    case MessageByte.chunk:
      return readChunk(reader);
    default:
      return reader.fail(`starts with 0x${first.toString(16).padStart(2, '0')}, which is no message to a relay,`);
  }
}

/** Reads a message that a relay sent. Bodies are borrowed from `bytes`. @throws GametapeError `BAD_MESSAGE`. */
export function decodeDownMessage(bytes: Uint8Array): DownMessage {
  const reader = new ByteReader(bytes, 'BAD_MESSAGE');
  const first = reader.byte();
  switch (first) {
    case MessageByte.welcome:
      return ended(reader, readWelcome(reader));
    case MessageByte.snapshot:
      return { kind: 'snapshot', records: reader.raw(reader.left) };
    case MessageByte['events-down']:
      return ended(reader, {
        kind: 'events-down',
        acks: readAcks(reader),
        upTo: reader.varint(),
        events: readEventsDown(reader),
      });
    case MessageByte.producer:
      return ended(reader, {
        kind: 'producer',
        index: reader.varint(),
        player: reader.text(),
        instance: reader.text(),
      });
    case MessageByte.ack:
      return ended(reader, { kind: 'ack', acks: readAcks(reader) });
    case MessageByte.ping:
      return ended(reader, { kind: 'ping', id: reader.varint(), acks: readAcks(reader) });
    case MessageByte.clocks:
      return ended(reader, { kind: 'clocks', errors: readErrors(reader) });
    case MessageByte.expect:
      return ended(reader, { kind: 'expect', pseq: reader.varint() });
    case MessageByte.notice:
      return ended(reader, readNotice(reader));
    case MessageByte['need-keyframe']:
      return ended(reader, { kind: 'need-keyframe', pseq: reader.varint() });
    case MessageByte.ending:
      return ended(reader, { kind: 'ending' });
    case MessageByte.ended:
      return ended(reader, readEnded(reader));
    case MessageByte.clock:
      return ended(reader, { kind: 'clock', time: reader.zigzag(), holdMs: reader.varint() });
    case MessageByte.spectators:
      return ended(reader, { kind: 'spectators', count: reader.varint(), ids: readIds(reader) });
    case MessageByte.chunk:
      return readChunk(reader);
    default:
      return reader.fail(`starts with 0x${first.toString(16).padStart(2, '0')}, which is no message from a relay,`);
  }
}

/** Puts chunks together again, up to `maxBytes`. */
export class ChunkAssembler {
  readonly #maxBytes: number;
  #writer = new ByteWriter();

  constructor(maxBytes: number = LIMITS.chunkedBytes) {
    this.#maxBytes = maxBytes;
  }

  /** The whole message when `last` has come, undefined before. @throws GametapeError `LIMIT_EXCEEDED`. */
  add({ last, bytes }: { last: boolean; bytes: Uint8Array }): Uint8Array | undefined {
    if (this.#writer.length + bytes.length > this.#maxBytes) {
      this.#writer = new ByteWriter();
      throw new GametapeError('LIMIT_EXCEEDED', `message: over ${this.#maxBytes} bytes in chunks`);
    }
    // Copied: the bytes of a message are borrowed until its handler returns.
    this.#writer.raw(bytes);
    if (!last) return undefined;
    const whole = this.#writer.bytes();
    this.#writer = new ByteWriter();
    return whole;
  }
}

function readGap(reader: ByteReader): UpMessage {
  const [firstPseq, lastPseq] = [reader.varint(), reader.varint()];
  if (firstPseq === 0 || lastPseq < firstPseq) reader.fail(`has a gap from event ${firstPseq} to ${lastPseq}`);
  return ended(reader, { kind: 'gap', firstPseq, lastPseq, reason: reader.text() });
}

function readClockJump(reader: ByteReader): UpMessage {
  const [pseq, jump, clock] = [reader.varint(), reader.zigzag(), reader.varint()];
  if (pseq === 0) reader.fail('has a clock that jumped at event number 0');
  return ended(reader, { kind: 'clock-jump', pseq, jump, clock });
}

function readErrors(reader: ByteReader): Clocks['errors'] {
  const errors: [number, number | null][] = [];
  for (let count = reader.count(2); count > 0; count--) {
    const [producer, error] = [reader.varint(), reader.varint()];
    errors.push([producer, error === 0 ? null : error - 1]);
  }
  return errors;
}

function readChunk(reader: ByteReader): Chunk {
  const last = reader.byte();
  if (last > 1 || reader.left === 0) reader.fail('has a chunk that holds nothing, or a bad mark of the last one,');
  return { kind: 'chunk', last: last === 1, bytes: reader.raw(reader.left) };
}

function readEventsUp(reader: ByteReader, flags: number): UpMessage {
  const firstPseq = reader.varint();
  if (firstPseq === 0) reader.fail('has an event number 0');
  const shown = flags & EventsFlag.Shown ? { shown: reader.varint() } : undefined;
  const base = flags & EventsFlag.Base ? { base: readBase(reader, firstPseq) } : undefined;
  const events: EventUp[] = [];
  if (flags & EventsFlag.Single) events.push({ stampDelta: reader.zigzagUnit(), body: reader.raw(reader.left) });
  else {
    for (let count = reader.count(3); count > 0; count--) {
      events.push({ stampDelta: reader.zigzagUnit(), body: reader.raw(reader.varint()) });
    }
  }
  return ended(reader, { kind: 'events-up', firstPseq, ...shown, ...base, events });
}

function readBase(reader: ByteReader, firstPseq: number): RewindBase {
  const seq = reader.varint();
  const since = reader.varint();
  if (since >= firstPseq) reader.fail('has a base since an event that there cannot be,');
  return { seq, firstPseq: firstPseq - since };
}

function readEventsDown(reader: ByteReader): EventDown[] {
  const events: EventDown[] = [];
  const offsets = new Map<number, number>();
  let seq = 0;
  let time = 0;
  for (let count = reader.count(4); count > 0; count--) {
    seq += 1 + reader.varint();
    const tagged = reader.varint();
    const producer = Math.floor(tagged / 4);
    const hlc = tagged % 4 >= 2 ? reader.varint() : 0;
    time += reader.zigzagUnit();
    let stamp: number | null = null;
    if (tagged % 2 === 0) {
      const offset = (offsets.get(producer) ?? 0) + reader.zigzagUnit();
      offsets.set(producer, offset);
      stamp = time + offset;
    }
    if (![seq, time, stamp ?? 0].every(Number.isSafeInteger)) reader.fail('has an event with numbers over 2^53');
    events.push({ seq, producer, time, hlc, stamp, body: reader.raw(reader.varint()) });
  }
  return events;
}

function readIds(reader: ByteReader): string[] {
  const ids: string[] = [];
  for (let count = reader.count(1); count > 0; count--) ids.push(reader.text());
  return ids;
}

function readAcks(reader: ByteReader): Acks {
  const accepted = reader.varint();
  const stable = accepted - reader.varint();
  if (stable < 0) reader.fail(`has more stable events than the ${accepted} accepted`);
  return { accepted, stable };
}

function ended<T>(reader: ByteReader, message: T): T {
  reader.end();
  return message;
}
