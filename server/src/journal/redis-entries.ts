import type { Argument, RedisConnection } from './redis-connection.ts';
import { faultOf, RedisAway } from './redis-errors.ts';

/** Entries that one command reads: a page of checkpoints may be some MiB. */
const PAGE = { log: 64, checkpoints: 8, back: 2 };
const MAX_N = '18446744073709551615';
const READ_TIMEOUT_MS = 15_000;
const RETRY_MS = 100;
/** A reader waits this long for a Redis that is away. */
const READ_LIMIT_MS = 60_000;

/** Every room that is owned or has something unfinished. */
export const ROOMS_KEY = 'gt:rooms';

/** The keys of one room. The braces keep them on one node of a Redis Cluster. */
export interface RoomKeys {
  /** Stream of what rooms append. */
  readonly log: string;
  /** Stream of sealed blocks: each opens with all that is needed to go on from there. */
  readonly checkpoints: string;
  /** Who writes, for as long as it says so again and again. */
  readonly owner: string;
  /** Hash of unfinished recordings, each with the id of its first checkpoint. */
  readonly recordings: string;
  /** Stream of what was found damaged. */
  readonly damaged: string;
}

export function keysOf(room: string): RoomKeys {
  const key = (name: string) => `gt:{${room}}:${name}`;
  return {
    log: key('log'),
    checkpoints: key('checkpoints'),
    owner: key('owner'),
    recordings: key('recordings'),
    damaged: key('damaged'),
  };
}

/** `<epoch>-<n>`: an owner's epoch is above all before it, so Redis itself refuses what an earlier owner still sends. */
export interface EntryId {
  readonly epoch: number;
  readonly n: number;
}

export const FIRST_ID: EntryId = { epoch: 0, n: 0 };

export function idText({ epoch, n }: EntryId): string {
  return `${epoch}-${n}`;
}

export function parseId(text: unknown): EntryId {
  const [epoch, n] = String(text).split('-').map(Number);
  return { epoch: epoch ?? 0, n: n ?? 0 };
}

export function isBefore(a: EntryId, b: EntryId): boolean {
  return a.epoch < b.epoch || (a.epoch === b.epoch && a.n < b.n);
}

/** An entry of either stream: a block, or the mark of a claim or of a finished recording. */
export interface StreamEntry {
  readonly id: EntryId;
  /** Undefined for a claim. */
  readonly recordingId: string | undefined;
  readonly lastSeq: number;
  readonly block: Uint8Array | undefined;
  /** Whose claim this is. */
  readonly claim: string | undefined;
  /** The recording is finished: what is left of it is to be deleted. */
  readonly isFinished: boolean;
}

export function blockFields(recordingId: string, lastSeq: number, block: Uint8Array): Argument[] {
  return ['r', recordingId, 's', lastSeq, 'b', block];
}

export function claimFields(token: string): Argument[] {
  return ['c', token];
}

export function finishedFields(recordingId: string): Argument[] {
  return ['r', recordingId, 'f', 1];
}

/** The entry with that id, undefined if there is none. */
export async function readEntry(
  connection: RedisConnection,
  key: string,
  id: EntryId,
): Promise<StreamEntry | undefined> {
  const reply = await connection.command(['XRANGE', key, idText(id), idText(id)], { timeoutMs: READ_TIMEOUT_MS });
  return toEntries(reply)[0];
}

/** All entries from `from` on, in pages: memory does not grow with the stream. Waits for a Redis that is away. */
export async function* readEntries(
  connection: RedisConnection,
  key: string,
  kind: 'log' | 'checkpoints',
  from: EntryId = FIRST_ID,
): AsyncGenerator<StreamEntry> {
  for (let next = from; ; ) {
    const page = toEntries(await readPatiently(connection, ['XRANGE', key, idText(next), '+', 'COUNT', PAGE[kind]]));
    yield* page;
    const last = page.at(-1);
    if (!last || page.length < PAGE[kind]) return;
    next = { epoch: last.id.epoch, n: last.id.n + 1 };
  }
}

/** The same backwards from the end, down to `to`. */
export async function* readEntriesBack(
  connection: RedisConnection,
  key: string,
  to: EntryId,
): AsyncGenerator<StreamEntry> {
  for (let next = '+'; ; ) {
    const page = toEntries(await readPatiently(connection, ['XREVRANGE', key, next, idText(to), 'COUNT', PAGE.back]));
    yield* page;
    const last = page.at(-1);
    if (!last || page.length < PAGE.back) return;
    next = before(last.id);
  }
}

/** The highest id that the stream has ever had, undefined when there is no stream. Trimming does not change it. */
export async function lastId(connection: RedisConnection, key: string): Promise<EntryId | undefined> {
  let reply: unknown;
  try {
    reply = await connection.command(['XINFO', 'STREAM', key], { timeoutMs: READ_TIMEOUT_MS });
  } catch (error) {
    if (/^ERR no such key/.test((error as Error).message)) return undefined;
    throw error;
  }
  const fields = reply as unknown[];
  const at = fields.findIndex((field) => String(field) === 'last-generated-id');
  return parseId(fields[at + 1]);
}

/**
 * For commands that may be carried out twice: repeats one until it is answered.
 *
 * @throws the error that Redis answers with, or RedisAway after a minute of it
 */
export async function readPatiently(connection: RedisConnection, args: readonly Argument[]): Promise<unknown> {
  const deadline = performance.now() + READ_LIMIT_MS;
  for (;;) {
    try {
      return await connection.command(args, { timeoutMs: READ_TIMEOUT_MS });
    } catch (error) {
      const fault = faultOf(error);
      if ((fault !== 'away' && fault !== 'for now') || performance.now() > deadline) throw error;
      if (error instanceof RedisAway && connection.isClosed) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

function before({ epoch, n }: EntryId): string {
  return n > 0 ? idText({ epoch, n: n - 1 }) : `${epoch - 1}-${MAX_N}`;
}

function toEntries(reply: unknown): StreamEntry[] {
  return (reply as [Buffer, Buffer[]][]).map(([id, fields]) => {
    const values = new Map<string, Buffer>();
    for (let i = 0; i + 1 < fields.length; i += 2) values.set(String(fields[i]), fields[i + 1] as Buffer);
    return {
      id: parseId(id),
      recordingId: values.get('r')?.toString(),
      lastSeq: Number(values.get('s') ?? 0),
      block: values.get('b'),
      claim: values.get('c')?.toString(),
      isFinished: values.has('f'),
    };
  });
}
