import { ByteReader } from '../bytes/byte-reader.ts';
import { GametapeError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { decodeValue } from '../values/decode-value.ts';
import { isJsonObject, type Json, type JsonObject } from '../values/json.ts';
import {
  type Acks,
  type DownMessage,
  type EventDown,
  EventsFlag,
  type EventUp,
  MessageByte,
  type Position,
  type Role,
  type UpMessage,
  type Welcome,
} from './messages.ts';

const ROLES: readonly string[] = ['player', 'spectator', 'host'];

/**
 * Reads a message that a client sent (W11). Bodies are borrowed from `bytes`.
 *
 * @throws GametapeError `BAD_MESSAGE` naming what is wrong and at which byte.
 */
export function decodeUpMessage(bytes: Uint8Array): UpMessage {
  const reader = new ByteReader(bytes, 'BAD_MESSAGE');
  const first = reader.byte();
  if ((first & ~3) === MessageByte['events-up']) return readEventsUp(reader, first & 3);
  switch (first) {
    case MessageByte.hello:
      return readHello(reader);
    case MessageByte.pong:
      return ended(reader, { kind: 'pong', id: reader.varint(), received: reader.varint(), sent: reader.varint() });
    case MessageByte.gap:
      return ended(reader, {
        kind: 'gap',
        firstPseq: reader.varint(),
        lastPseq: reader.varint(),
        reason: reader.text(),
      });
    case MessageByte.leave:
      return ended(reader, { kind: 'leave', lastPseq: reader.varint() });
    case MessageByte.final:
      return ended(reader, { kind: 'final', lastPseq: reader.varint() });
    case MessageByte.end:
      return ended(reader, { kind: 'end', lastPseq: reader.varint(), outcome: readMap(reader) });
    case MessageByte.chunk:
      return { kind: 'chunk', last: reader.byte() === 1, bytes: reader.raw(reader.left) };
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
      return readWelcome(reader);
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
    case MessageByte.expect:
      return ended(reader, { kind: 'expect', pseq: reader.varint() });
    case MessageByte.notice: {
      const { code, message, pseq } = readMap(reader);
      if (typeof code !== 'string' || typeof message !== 'string' || typeof pseq !== 'number')
        reader.fail('has a bad notice');
      return ended(reader, { kind: 'notice', code, message, pseq } as DownMessage);
    }
    case MessageByte['need-keyframe']:
      return ended(reader, { kind: 'need-keyframe' });
    case MessageByte.ending:
      return ended(reader, { kind: 'ending' });
    case MessageByte.ended: {
      const summary = readMap(reader);
      if (typeof summary.recordingId !== 'string') reader.fail('has a summary without recordingId');
      return ended(reader, { kind: 'ended', summary } as unknown as DownMessage);
    }
    case MessageByte.chunk:
      return { kind: 'chunk', last: reader.byte() === 1, bytes: reader.raw(reader.left) };
    default:
      return reader.fail(`starts with 0x${first.toString(16).padStart(2, '0')}, which is no message from a relay,`);
  }
}

/** Puts chunks together again, within `LIMITS.chunkedBytes`. */
export class ChunkAssembler {
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /** The whole message when `last` has come, undefined before. @throws GametapeError `LIMIT_EXCEEDED`. */
  add({ last, bytes }: { last: boolean; bytes: Uint8Array }): Uint8Array | undefined {
    this.#bytes += bytes.length;
    if (this.#bytes > LIMITS.chunkedBytes) {
      throw new GametapeError('LIMIT_EXCEEDED', `message: over ${LIMITS.chunkedBytes} bytes in chunks`);
    }
    // Copied: the bytes of a message are borrowed until its handler returns.
    this.#parts.push(bytes.slice());
    if (!last) return undefined;
    const whole = new Uint8Array(this.#bytes);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#bytes = 0;
    return whole;
  }
}

function readEventsUp(reader: ByteReader, flags: number): UpMessage {
  const firstPseq = reader.varint();
  if (firstPseq === 0) reader.fail('has an event number 0');
  const shown = flags & EventsFlag.Shown ? { shown: reader.varint() } : undefined;
  const events: EventUp[] = [];
  if (flags & EventsFlag.Single) events.push({ stampDelta: reader.zigzagUnit(), body: reader.raw(reader.left) });
  else {
    for (let count = reader.count(3); count > 0; count--) {
      events.push({ stampDelta: reader.zigzagUnit(), body: reader.raw(reader.varint()) });
    }
  }
  return ended(reader, { kind: 'events-up', firstPseq, ...shown, events });
}

function readEventsDown(reader: ByteReader): EventDown[] {
  const events: EventDown[] = [];
  const offsets = new Map<number, number>();
  let seq = 0;
  let time = 0;
  for (let count = reader.count(4); count > 0; count--) {
    seq += 1 + reader.varint();
    const tagged = reader.varint();
    const producer = Math.floor(tagged / 2);
    time += reader.zigzagUnit();
    let stamp: number | null = null;
    if (tagged % 2 === 0) {
      const offset = (offsets.get(producer) ?? 0) + reader.zigzagUnit();
      offsets.set(producer, offset);
      stamp = time + offset;
    }
    events.push({ seq, producer, time, stamp, body: reader.raw(reader.varint()) });
  }
  return events;
}

function readAcks(reader: ByteReader): Acks {
  const accepted = reader.varint();
  return { accepted, stable: accepted - reader.varint() };
}

function readHello(reader: ByteReader): UpMessage {
  const map = readMap(reader);
  const { protocols, room, player, role, profile, instance, clock } = map;
  if (!Array.isArray(protocols) || !protocols.every((version) => typeof version === 'number')) {
    return reader.fail('has a hello without protocols');
  }
  const text = (value: Json | undefined, name: string) =>
    typeof value === 'string' ? value : reader.fail(`has a hello without ${name}`);
  const optional = (name: string) => (map[name] === undefined ? undefined : { [name]: text(map[name], name) });
  if (typeof role !== 'string' || !ROLES.includes(role)) return reader.fail('has a hello with an unknown role');
  if (typeof clock !== 'number' || !(clock >= 0)) return reader.fail('has a hello without a clock');
  return {
    kind: 'hello',
    protocols: protocols as number[],
    room: text(room, 'room'),
    player: text(player, 'player'),
    role: role as Role,
    profile: text(profile, 'profile'),
    instance: text(instance, 'instance'),
    clock,
    ...optional('name'),
    ...optional('token'),
    ...readResume(reader, map.resume),
    state: reader.raw(reader.left),
  };
}

function readResume(reader: ByteReader, resume: Json | undefined): { resume?: Position } {
  if (resume === undefined) return {};
  if (!isJsonObject(resume) || !isCount(resume.epoch) || !isCount(resume.seq))
    return reader.fail('has a hello with a bad position');
  return { resume: { epoch: resume.epoch, seq: resume.seq } };
}

function readWelcome(reader: ByteReader): DownMessage {
  const map = readMap(reader);
  const numbers = ['protocol', 'epoch', 'seq', 'producer', 'lastPseq', 'roomTime', 'createdAt', 'silenceMs'];
  const texts = ['recordingId', 'profile', 'resumption', 'durability'];
  for (const name of numbers) if (typeof map[name] !== 'number') reader.fail(`has a welcome without ${name}`);
  for (const name of texts) if (typeof map[name] !== 'string') reader.fail(`has a welcome without ${name}`);
  if (!Array.isArray(map.players)) reader.fail('has a welcome without players');
  return ended(reader, { kind: 'welcome', ...map } as unknown as Welcome);
}

function readMap(reader: ByteReader): JsonObject {
  const value = decodeValue(reader);
  return isJsonObject(value) ? value : reader.fail('has something else where a map is expected');
}

function isCount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function ended<T>(reader: ByteReader, message: T): T {
  reader.end();
  return message;
}
