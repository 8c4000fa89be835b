import { ByteWriter } from '../bytes/byte-writer.ts';
import { LIMITS } from '../limits.ts';
import { encodeValue } from '../values/encode-value.ts';
import type { Json } from '../values/json.ts';
import {
  type Acks,
  type DownMessage,
  type EventDown,
  EventsFlag,
  type EventsUp,
  MessageByte,
  type UpMessage,
} from './messages.ts';

const CHUNK_BYTES = LIMITS.messageBytes - 2;
/** Used by one call at a time; each takes its own copy. */
const writer = new ByteWriter(1_024);

/** One message as bytes of its own (PROTOCOL.md). Longer than a message may be: see `chunked`. */
export function encodeMessage(message: UpMessage | DownMessage): Uint8Array {
  writer.truncate(0);
  if (message.kind === 'events-up') {
    writeEventsUp(writer, message);
    return writer.take();
  }
  writer.byte(MessageByte[message.kind]);
  switch (message.kind) {
    case 'hello': {
      const { kind: _, state, ...fields } = message;
      encodeValue(writer, plain(fields));
      writer.raw(state);
      break;
    }
    case 'welcome': {
      const { kind: _, ...fields } = message;
      encodeValue(writer, plain(fields));
      break;
    }
    case 'pong':
      writer.varint(message.id);
      writer.varint(message.received);
      writer.varint(message.sent);
      break;
    case 'clock-jump':
      writer.varint(message.pseq);
      writer.zigzag(message.jump);
      writer.varint(message.clock);
      break;
    case 'gap':
      writer.varint(message.firstPseq);
      writer.varint(message.lastPseq);
      writer.text(message.reason);
      break;
    case 'leave':
    case 'final':
      writer.varint(message.lastPseq);
      break;
    case 'end':
      writer.varint(message.lastPseq);
      encodeValue(writer, message.outcome);
      break;
    case 'snapshot':
      writer.raw(message.records);
      break;
    case 'producer':
      writer.varint(message.index);
      writer.text(message.player);
      writer.text(message.instance);
      break;
    case 'events-down':
      writeAcks(writer, message.acks);
      writer.varint(message.upTo);
      writeEventsDown(writer, message.events);
      break;
    case 'ack':
      writeAcks(writer, message.acks);
      break;
    case 'ping':
      writer.varint(message.id);
      writeAcks(writer, message.acks);
      break;
    case 'clocks':
      writer.varint(message.errors.length);
      for (const [producer, errorUs] of message.errors) {
        writer.varint(producer);
        writer.varint(errorUs === null ? 0 : errorUs + 1);
      }
      break;
    case 'expect':
    case 'need-keyframe':
      writer.varint(message.pseq);
      break;
    case 'notice':
      {
        const { kind: _, ...fields } = message;
        encodeValue(writer, plain(fields));
      }
      break;
    case 'ended':
      encodeValue(writer, plain({ ...message.summary, seq: message.seq }));
      break;
    case 'rewind':
      writer.text(message.name);
      break;
    case 'clock':
      writer.zigzag(message.time);
      writer.varint(message.holdMs);
      break;
    case 'spectators':
      writer.varint(message.count);
      writer.varint(message.ids.length);
      for (const id of message.ids) writer.text(id);
      break;
    case 'chunk':
      writer.byte(message.last ? 1 : 0);
      writer.raw(message.bytes);
      break;
    case 'ending':
      break;
  }
  return writer.take();
}

/** The message itself, or the chunks it has to travel in. The chunks borrow its bytes. */
export function chunked(message: Uint8Array): Uint8Array[] {
  if (message.length <= LIMITS.messageBytes) return [message];
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < message.length; at += CHUNK_BYTES) {
    const bytes = message.subarray(at, at + CHUNK_BYTES);
    chunks.push(encodeMessage({ kind: 'chunk', last: at + CHUNK_BYTES >= message.length, bytes }));
  }
  return chunks;
}

function writeEventsUp(writer: ByteWriter, { firstPseq, shown, base, events }: EventsUp): void {
  const single = events.length === 1;
  const flags = (shown === undefined ? 0 : EventsFlag.Shown) | (base === undefined ? 0 : EventsFlag.Base);
  writer.byte(MessageByte['events-up'] | (single ? EventsFlag.Single : 0) | flags);
  writer.varint(firstPseq);
  if (shown !== undefined) writer.varint(shown);
  if (base !== undefined) {
    writer.varint(base.seq);
    writer.varint(firstPseq - base.firstPseq);
  }
  if (!single) writer.varint(events.length);
  for (const { stampDelta, body } of events) {
    writer.zigzagUnit(stampDelta);
    if (!single) writer.varint(body.length);
    writer.raw(body);
  }
}

function writeEventsDown(writer: ByteWriter, events: readonly EventDown[]): void {
  writer.varint(events.length);
  const offsets = new Map<number, number>();
  let seq = 0;
  let time = 0;
  for (const event of events) {
    writer.varint(event.seq - seq - 1);
    writer.varint(event.producer * 4 + (event.hlc > 0 ? 2 : 0) + (event.stamp === null ? 1 : 0));
    if (event.hlc > 0) writer.varint(event.hlc);
    writer.zigzagUnit(event.time - time);
    if (event.stamp !== null) {
      const offset = event.stamp - event.time;
      writer.zigzagUnit(offset - (offsets.get(event.producer) ?? 0));
      offsets.set(event.producer, offset);
    }
    writer.varint(event.body.length);
    writer.raw(event.body);
    seq = event.seq;
    time = event.time;
  }
}

/** The same without the fields that are undefined: MessagePack would make extensions of them. */
function plain(fields: object): Json {
  return JSON.parse(JSON.stringify(fields)) as Json;
}

function writeAcks(writer: ByteWriter, { accepted, stable }: Acks): void {
  writer.varint(accepted);
  writer.varint(accepted - stable);
}
