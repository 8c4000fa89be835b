import { ByteReader, ByteWriter, type Crc32, isGametapeError } from '@gametape/shared';
import type { QueuedMessage } from '../send-queue.ts';
import type { SpoolSegment } from './spool.ts';

/** Version of all that is below; a spool of another one is not read, and not touched. */
const SPOOL_VERSION = 1;

/**
 * A segment is records, one after another:
 *
 *     record := u32(length of type and payload) • u32(crc32 of both) • byte(type) • payload
 */
const Type = { Head: 1, Message: 2, Open: 3, Settled: 4, Stable: 5, Refused: 6 } as const;
const FRAME_BYTES = 8;
const CODE = 'DAMAGED';

/** Who recorded this, and into what: all that a hello of the same instance needs. First record of every segment. */
export interface SpoolHead {
  readonly room: string;
  readonly player: string;
  readonly instance: string;
  readonly profile: string;
  readonly recordingId: string;
  readonly name?: string;
}

/** What the first message of a segment goes on from. */
export interface SpoolStart {
  readonly head: SpoolHead;
  /** The state of the first hello: a body, empty if there is none. */
  readonly helloState: Uint8Array;
  /** The producer's context as a keyframe record; empty where nothing was recorded before. */
  readonly keyframe: Uint8Array;
}

/** A message of the outbox, with the producer's clock and the wall clock at the time. Of its stamps only the first is here. */
export interface SpooledMessage extends QueuedMessage {
  /** Microseconds of the producer's clock, and milliseconds of the wall clock at the same moment. */
  readonly clock: number;
  readonly wallMs: number;
}

/** Why the relay would not take what is here, once it has said so. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
}

/** A spool as it was found. */
export interface SpoolContent {
  /** What each segment goes on from, and the place of its first message among `messages`. */
  readonly starts: readonly { readonly at: number; readonly start: SpoolStart }[];
  /** Every intact message, in order of pseq; where one is damaged there is a hole. */
  readonly messages: readonly SpooledMessage[];
  /** The last event known to be stable. */
  readonly stable: number;
  /** Its instance had recorded nothing that is not here, as far as was written: false when it died in the middle of something. */
  readonly isSettled: boolean;
  readonly refusal: Refusal | undefined;
  /** Bytes that are no records, somewhere in it. */
  readonly damagedBytes: number;
  /** It is of another version. */
  readonly isForeign: boolean;
}

/** Encodes records. What it returns is the caller's. */
export class SpoolRecords {
  readonly #crc32: Crc32;
  readonly #payload = new ByteWriter(1_024);
  readonly #records = new ByteWriter(1_024);

  constructor(crc32: Crc32) {
    this.#crc32 = crc32;
  }

  start({ head, helloState, keyframe }: SpoolStart): void {
    const payload = this.#payload;
    payload.byte(Type.Head);
    payload.varint(SPOOL_VERSION);
    payload.text(JSON.stringify(head));
    for (const bytes of [helloState, keyframe]) {
      payload.varint(bytes.length);
      payload.raw(bytes);
    }
    this.#end();
  }

  message(
    { bytes, firstPseq, lastPseq, stamps }: QueuedMessage,
    clock: number,
    wallMs: number,
    isSettled: boolean,
  ): void {
    const payload = this.#payload;
    payload.byte(Type.Message);
    payload.byte(isSettled ? 1 : 0);
    payload.varint(clock);
    payload.varint(wallMs);
    payload.varint(stamps[0] ?? 0);
    payload.varint(firstPseq);
    payload.varint(lastPseq);
    payload.raw(bytes);
    this.#end();
  }

  /** More has been recorded than the messages hold. */
  open(): void {
    this.#payload.byte(Type.Open);
    this.#end();
  }

  /** The messages hold all that has been recorded. */
  settled(): void {
    this.#payload.byte(Type.Settled);
    this.#end();
  }

  stable(pseq: number): void {
    this.#payload.byte(Type.Stable);
    this.#payload.varint(pseq);
    this.#end();
  }

  refused({ code, message }: Refusal): void {
    this.#payload.byte(Type.Refused);
    this.#payload.text(code);
    this.#payload.text(message.toWellFormed());
    this.#end();
  }

  /** All records since the last time. */
  take(): Uint8Array {
    return this.#records.take();
  }

  #end(): void {
    const payload = this.#payload.bytes();
    this.#records.u32(payload.length);
    this.#records.u32(this.#crc32(payload));
    this.#records.raw(payload);
    this.#payload.truncate(0);
  }
}

/** Reads whatever is intact. Never throws for what bytes say. */
export function readSpool(segments: readonly SpoolSegment[], crc32: Crc32): SpoolContent {
  const reading = new SpoolReading();
  for (const { bytes } of segments) {
    for (let at = 0; at < bytes.length; ) {
      const payload = recordAt(bytes, at, crc32);
      if (payload && reading.take(payload)) at += FRAME_BYTES + payload.length;
      else {
        // A length that is damaged says nothing of where the next record is: it is looked for.
        reading.damage();
        at++;
      }
      if (reading.isForeign) return reading.content();
    }
  }
  return reading.content();
}

/** What no relay has called stable. */
export function tailOf({ messages, stable }: SpoolContent): SpooledMessage[] {
  return messages.filter(({ lastPseq }) => lastPseq > stable);
}

function recordAt(bytes: Uint8Array, at: number, crc32: Crc32): Uint8Array | undefined {
  const left = bytes.length - at - FRAME_BYTES;
  if (left < 1) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, FRAME_BYTES);
  const length = view.getUint32(0, true);
  if (length < 1 || length > left) return undefined;
  const payload = bytes.subarray(at + FRAME_BYTES, at + FRAME_BYTES + length);
  return crc32(payload) === view.getUint32(4, true) ? payload : undefined;
}

class SpoolReading {
  isForeign = false;
  #starts: { at: number; start: SpoolStart }[] = [];
  #messages: SpooledMessage[] = [];
  #stable = 0;
  #isSettled = false;
  #refusal: Refusal | undefined;
  #damagedBytes = 0;

  damage(): void {
    this.#damagedBytes++;
    this.#isSettled = false;
  }

  /** False for a record that is none of ours. */
  take(payload: Uint8Array): boolean {
    try {
      this.#take(new ByteReader(payload, CODE), payload);
      return true;
    } catch (error) {
      // JSON.parse throws its own.
      if (isGametapeError(error) || error instanceof SyntaxError) return false;
      throw error;
    }
  }

  content(): SpoolContent {
    return {
      starts: this.#starts,
      messages: this.#messages,
      stable: this.#stable,
      isSettled: this.#isSettled,
      refusal: this.#refusal,
      damagedBytes: this.#damagedBytes,
      isForeign: this.isForeign,
    };
  }

  #take(reader: ByteReader, payload: Uint8Array): void {
    const type = reader.byte();
    switch (type) {
      case Type.Head:
        this.#takeHead(reader);
        return;
      case Type.Message: {
        const isSettled = reader.byte() === 1;
        const times = { clock: reader.varint(), wallMs: reader.varint(), stamps: [reader.varint()] };
        const pseqs = { firstPseq: reader.varint(), lastPseq: reader.varint() };
        this.#add({ ...times, ...pseqs, bytes: payload.slice(reader.position), queuedAt: 0 });
        this.#isSettled = isSettled;
        return;
      }
      case Type.Open:
        this.#isSettled = false;
        return;
      case Type.Settled:
        this.#isSettled = true;
        return;
      case Type.Stable:
        this.#stable = Math.max(this.#stable, reader.varint());
        return;
      case Type.Refused:
        this.#refusal = { code: reader.text(), message: reader.text() };
        return;
      default:
        reader.fail(`has a record of type ${type}`);
    }
  }

  #takeHead(reader: ByteReader): void {
    const version = reader.varint();
    this.isForeign = version !== SPOOL_VERSION;
    if (this.isForeign) return;
    const head = JSON.parse(reader.text()) as SpoolHead;
    const helloState = reader.raw(reader.varint()).slice();
    const keyframe = reader.raw(reader.varint()).slice();
    this.#starts.push({ at: this.#messages.length, start: { head, helloState, keyframe } });
  }

  #add(message: SpooledMessage): void {
    // What a gap stands for has been given up.
    while ((this.#messages.at(-1)?.lastPseq ?? 0) >= message.firstPseq) this.#messages.pop();
    for (const start of this.#starts) start.at = Math.min(start.at, this.#messages.length);
    this.#messages.push(message);
  }
}
