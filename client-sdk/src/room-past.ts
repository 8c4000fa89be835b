import {
  BLOCK_HEADER_BYTES,
  type Compression,
  decodeBlockHeader,
  type ErrorCode,
  type FragmentRow,
  GametapeError,
  isJsonObject,
  type Json,
  type JsonObject,
  LIMITS,
  type ProducerContext,
  RecordingIdentity,
  readEventBlock,
} from '@gametape/shared';
import { comparePlaces, type Place } from './arrivals.ts';
import { askHttp, CUT_OFF } from './platform/http-answer.ts';
import { RoomOver } from './room-over.ts';
import type { Arrival } from './room-states.ts';
import { pause, tryAgain } from './try-again.ts';

const SILENCE_MS = 30_000;
const MAX_SYNC_BYTES = 64 * 1024 * 1024;
const MAX_FRAGMENT_BYTES = LIMITS.blockBytes + BLOCK_HEADER_BYTES;
/** Decoded fragments that are kept, in bytes before compression. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** A `sync` may be this old when it comes, in milliseconds. */
const SYNC_AGE_MS = 1_000;
const SYNC_TRIES = 8;

/** What a fragment is looked up by; of the tail `sync` does not say how long it is. */
export type PastRow = Omit<FragmentRow, 'bytes'>;

/** A fragment, decoded: its entries are borrowed from it. */
export interface Fragment {
  readonly row: PastRow;
  /** Every producer at its start: new ones at each call. */
  keyframes(): ProducerContext[];
  readonly length: number;
  placeAt(index: number): Place;
  /** Entry `index`, in the order of the timeline. */
  at(index: number): Arrival;
}

export interface PastCheckpoint {
  readonly name: string;
  /** Microseconds of room time. */
  readonly time: number;
  readonly seq: number;
}

export interface RoomPastOptions {
  /** Address of the relay, for HTTP. */
  readonly baseUrl: string;
  readonly room: string;
  readonly recordingId: string;
  readonly token: string | undefined;
  readonly compression: Compression;
  /** Aborted when nobody waits for anything any more: its reason is what the caller gets. */
  readonly signal: AbortSignal;
}

/** What a room has recorded so far, in fragments over HTTP: what has a name never changes, and some of it is kept. */
export class RoomPast {
  readonly #options: RoomPastOptions;
  #identity = new RecordingIdentity();
  /** Least recently used first. */
  readonly #kept = new Map<string, { fragment: Fragment; bytes: number }>();
  readonly #loads = new Map<string, Promise<Fragment>>();
  #keptBytes = 0;
  #rows: PastRow[] = [];
  #tail: PastRow | undefined;
  #headSeq = 0;
  #epoch: number | undefined;
  #delayMs = 0;
  #checkpoints: readonly PastCheckpoint[] = [];

  constructor(options: RoomPastOptions) {
    this.#options = options;
  }

  /** Sealed fragments and what came after the last of them, in the order of seqs. */
  get rows(): readonly PastRow[] {
    return this.#tail ? [...this.#rows, this.#tail] : this.#rows;
  }

  /** All up to here is in `rows`. */
  get headSeq(): number {
    return this.#headSeq;
  }

  get checkpoints(): readonly PastCheckpoint[] {
    return this.#checkpoints;
  }

  get producers(): RecordingIdentity['producers'] {
    return this.#identity.producers;
  }

  /** Of the fragments that are known. */
  get #lastSeq(): number {
    return this.#rows.at(-1)?.lastSeq ?? 0;
  }

  /** Names that were good may not be any more: the relay was started anew. What is kept stays good. */
  forgetNames(): void {
    this.#rows = [];
    this.#tail = undefined;
    this.#headSeq = 0;
  }

  /** Asks what there is until that is everything up to `seq`. @throws RoomOver, GametapeError */
  async refresh(seq: number): Promise<void> {
    const { signal } = this.#options;
    const startedAt = performance.now();
    for (let tries = 1; ; ) {
      signal.throwIfAborted();
      await this.#sync();
      if (this.#headSeq >= seq) return;
      // A relay that was started anew shows nothing of a room with a delay before that has passed once (V2).
      const isHidden = this.#headSeq === 0 && performance.now() - startedAt < this.#delayMs;
      if (!isHidden && tries++ === SYNC_TRIES) {
        throw new GametapeError('TIMED_OUT', `${this.#url('sync')}: knows no events after ${this.#headSeq}`);
      }
      await pause(isHidden ? SYNC_AGE_MS : SYNC_AGE_MS / 4, signal);
    }
  }

  /** The fragment, at once if it is kept. @throws GametapeError `NOT_FOUND` once it is not there any more: refresh */
  load(row: PastRow): Fragment | Promise<Fragment> {
    const kept = this.#kept.get(row.name);
    if (!kept) return this.#loadOnce(row);
    this.#kept.delete(row.name);
    this.#kept.set(row.name, kept);
    return kept.fragment;
  }

  #loadOnce(row: PastRow): Promise<Fragment> {
    const running = this.#loads.get(row.name);
    if (running) return running;
    const load = this.#fetch(row).finally(() => this.#loads.delete(row.name));
    this.#loads.set(row.name, load);
    return load;
  }

  async #fetch(row: PastRow): Promise<Fragment> {
    const { baseUrl, recordingId, compression } = this.#options;
    const url = `${baseUrl}/v1/recordings/${recordingId}/fragments/${encodeURIComponent(row.name)}`;
    const bytes = await this.#get(url, MAX_FRAGMENT_BYTES, 'default');
    const header = decodeBlockHeader(bytes, 0, compression);
    if (header.recordingId !== recordingId) throw new GametapeError('DAMAGED', `${url}: is of another recording`);
    const stored = bytes.subarray(BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES + header.storedLength);
    const content = readEventBlock(header, stored, this.#identity, compression);
    const fragment = new DecodedFragment(row, content);
    this.#keep(fragment, header.rawLength);
    return fragment;
  }

  #keep(fragment: Fragment, bytes: number): void {
    this.#kept.set(fragment.row.name, { fragment, bytes });
    this.#keptBytes += bytes;
    for (const [name, oldest] of this.#kept) {
      if (this.#keptBytes <= MAX_KEPT_BYTES || name === fragment.row.name) return;
      this.#kept.delete(name);
      this.#keptBytes -= oldest.bytes;
    }
  }

  async #sync(): Promise<void> {
    const after = this.#lastSeq;
    const url = this.#url(`sync?after=${after}`);
    const text = new TextDecoder().decode(await this.#get(url, MAX_SYNC_BYTES, 'no-cache'));
    const answer = JSON.parse(text) as Json;
    if (!isJsonObject(answer)) throw new GametapeError('BAD_MESSAGE', `${url}: expected JSON, found something else`);
    if (answer.recordingId !== this.#options.recordingId) throw new RoomOver(this.#options.recordingId);
    const isAnew = this.#epoch !== undefined && answer.epoch !== this.#epoch;
    if (isAnew) this.#forgetEpoch();
    // It goes on from what is forgotten by now.
    if (isAnew || after > this.#lastSeq) return await this.#sync();
    this.#learn(answer);
  }

  /** The relay was started anew: its blocks may be others, and a producer whose place in the room was lost with it, too. */
  #forgetEpoch(): void {
    this.#epoch = undefined;
    this.#identity = new RecordingIdentity();
    this.forgetNames();
  }

  /** The relay is taken at its word here: what fragments say of themselves is checked. */
  #learn(answer: JsonObject): void {
    const { room, recordingId } = this.#options;
    this.#epoch = Number(answer.epoch);
    this.#delayMs = Number(answer.delayMs);
    this.#identity.meta = {
      recordingId,
      room,
      profile: String(answer.profile),
      createdAt: Number(answer.createdAt),
    };
    const fail = (what: string) => {
      throw new GametapeError('BAD_MESSAGE', `${this.#url('sync')}: ${what}`);
    };
    for (const producer of answer.producers as unknown as { index: number; player: string; instance: string }[]) {
      this.#identity.addProducer(producer, fail);
    }
    for (const row of answer.fragments as unknown as PastRow[]) {
      if (row.firstSeq > this.#lastSeq) this.#rows.push(row);
    }
    const tail = answer.tail as unknown as PastRow | undefined;
    const isNews = tail !== undefined && tail.lastSeq > this.#lastSeq;
    // What a tail holds was placed at any time, as far as can be told without it.
    this.#tail = isNews
      ? { ...tail, firstTime: Number.NEGATIVE_INFINITY, lastTime: Number.POSITIVE_INFINITY }
      : undefined;
    this.#headSeq = Number(answer.headSeq);
    this.#checkpoints = answer.checkpoints as unknown as PastCheckpoint[];
  }

  #url(path: string): string {
    return `${this.#options.baseUrl}/v1/rooms/${encodeURIComponent(this.#options.room)}/${path}`;
  }

  #get(url: string, limit: number, cache: RequestCache): Promise<Uint8Array> {
    return tryAgain(() => this.#ask(url, limit, cache), CUT_OFF);
  }

  async #ask(url: string, limit: number, cache: RequestCache): Promise<Uint8Array> {
    const { token } = this.#options;
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const answer = await askHttp(url, { cache, headers }, SILENCE_MS);
    const bytes = await answer.bytes(limit);
    if (answer.status === 200) return bytes;
    const error = errorIn(bytes);
    // The recording that the relay names is that of the room's last session, which may be another one.
    if (error.code === 'ROOM_ENDED') throw new RoomOver(this.#options.recordingId);
    const code = typeof error.code === 'string' ? (error.code as ErrorCode) : 'NOT_FOUND';
    throw new GametapeError(code, `${url}: ${error.message ?? `the server answers with status ${answer.status}`}`);
  }
}

class DecodedFragment implements Fragment {
  readonly row: PastRow;
  readonly #content: ReturnType<typeof readEventBlock>;
  /** Entries in the order of the timeline: what is late lies further back. */
  readonly #order: Uint32Array;
  /** Entries that their producer's vocabulary starts over with: those that follow a gap (D3). */
  readonly #restarts = new Set<number>();

  constructor(row: PastRow, content: ReturnType<typeof readEventBlock>) {
    this.row = row;
    this.#content = content;
    const { rows } = content;
    const places = Array.from({ length: rows.length }, (_, index) => rows.placeAt(index));
    this.#order = Uint32Array.from(places.keys()).sort((one, other) =>
      comparePlaces(places[one] as Place, places[other] as Place),
    );
    const pseqs = new Map(content.keyframes().map(({ index, pseq }) => [index, pseq]));
    for (let index = 0; index < rows.length; index++) {
      const { producer, pseq } = rows.at(index);
      if (pseq === 0) continue;
      if (pseq > (pseqs.get(producer) ?? 0) + 1) this.#restarts.add(index);
      pseqs.set(producer, pseq);
    }
  }

  get length(): number {
    return this.#order.length;
  }

  keyframes(): ProducerContext[] {
    return this.#content.keyframes();
  }

  placeAt(index: number): Place {
    return this.#content.rows.placeAt(this.#order[index] as number);
  }

  at(index: number): Arrival {
    const row = this.#order[index] as number;
    const { seq, producer, time, hlc, stamp, body } = this.#content.rows.at(row);
    return { seq, producer, time, hlc, stamp, body, restarts: this.#restarts.has(row) };
  }
}

function errorIn(bytes: Uint8Array): JsonObject {
  try {
    const answer = JSON.parse(new TextDecoder().decode(bytes)) as Json;
    return isJsonObject(answer) && isJsonObject(answer.error) ? answer.error : {};
  } catch {
    return {};
  }
}
