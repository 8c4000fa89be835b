import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  type Compression,
  decodeBlockHeader,
  isGametapeError,
} from '@gametape/shared';
import { BlockChain } from './block-chain.ts';
import type { JournalDamage } from './damage.ts';
import type { RecoveredBlock } from './journal.ts';
import type { RedisConnection } from './redis-connection.ts';
import {
  type EntryId,
  FIRST_ID,
  idText,
  parseId,
  type RoomKeys,
  readEntries,
  readEntriesBack,
  readPatiently,
  type StreamEntry,
} from './redis-entries.ts';

/** Entries that were set aside are kept up to this many, the latest. */
const MOST_DAMAGED = 1_000;

export interface BlockReading {
  readonly connection: RedisConnection;
  readonly keys: RoomKeys;
  readonly compression: Compression;
  /** Undefined leaves what is damaged where it is. */
  readonly onDamage: ((damage: JournalDamage) => void) | undefined;
}

/** A block of a stream, with the entry it was in. */
export interface ReadBlock extends RecoveredBlock {
  readonly entry: StreamEntry & { readonly block: Uint8Array };
}

export type IsStart = (block: RecoveredBlock) => boolean;

/**
 * The sealed blocks of a recording, each once, as they lie in the stream: one that was written again may come after those that
 * follow it. What is damaged is set aside (J6). `isStart` is asked about the intact ones, the newest first, until it says true:
 * those before that one are left out.
 */
export async function* sealedBlocks(
  reading: BlockReading,
  recordingId: string,
  isStart?: IsStart,
): AsyncGenerator<ReadBlock> {
  const first = await firstCheckpoint(reading, recordingId);
  yield* sealedBlocksFrom(reading, recordingId, isStart ? await startOf(reading, recordingId, first, isStart) : first);
}

/** The same from that entry on; without one, all. */
export async function* sealedBlocksFrom(
  reading: BlockReading,
  recordingId: string,
  start?: EntryId,
): AsyncGenerator<ReadBlock> {
  const { connection, keys } = reading;
  const from = start ?? (await firstCheckpoint(reading, recordingId));
  const chain = new BlockChain();
  for await (const entry of readEntries(connection, keys.checkpoints, 'checkpoints', from)) {
    if (entry.recordingId !== recordingId) continue;
    const read = await readBlock(reading, keys.checkpoints, entry, true);
    if (read && chain.add(read.header) !== 'again') yield read;
  }
}

/** Where the blocks of a recording begin, or something before that. */
async function firstCheckpoint({ connection, keys }: BlockReading, recordingId: string): Promise<EntryId> {
  const first = String((await readPatiently(connection, ['HGET', keys.recordings, recordingId])) ?? '');
  return /^\d+-\d+$/.test(first) ? parseId(first) : FIRST_ID;
}

async function startOf(reading: BlockReading, recordingId: string, first: EntryId, isStart: IsStart): Promise<EntryId> {
  for await (const { id, recordingId: of, block } of readEntriesBack(
    reading.connection,
    reading.keys.checkpoints,
    first,
  )) {
    if (of !== recordingId || !block) continue;
    const { header, stored } = checked(block, reading.compression);
    if (header && stored && isStart({ header, stored, sealed: true })) return id;
  }
  return first;
}

/**
 * What was appended of a recording and is not sealed up to `sealedSeq`, each block once, in the order of the room: one that
 * was refused for a moment may have got in after those that came after it.
 */
export async function* loggedBlocks(
  reading: BlockReading,
  recordingId: string,
  sealedSeq: number,
): AsyncGenerator<ReadBlock> {
  const { connection, keys } = reading;
  const blocks: ReadBlock[] = [];
  for await (const entry of readEntries(connection, keys.log, 'log')) {
    if (entry.recordingId !== recordingId) continue;
    const read = await readBlock(reading, keys.log, entry, false);
    if (read) blocks.push(read);
  }
  // A stable sort: blocks without entries stay where they are among those of the same seq.
  blocks.sort((a, b) => a.entry.lastSeq - b.entry.lastSeq);
  const covered = blocks.findLastIndex(({ header }) => header.events > 0 && header.lastSeq <= sealedSeq) + 1;
  const seen = new SeenBlocks();
  for (const block of blocks.slice(covered)) if (seen.isNew(block.header)) yield block;
}

/** Blocks come again after a reply was lost, or Redis was filled again. */
class SeenBlocks {
  #lastSeq = 0;
  readonly #withoutEntries = new Set<string>();

  isNew({ events, lastSeq, headerCrc, storedCrc }: BlockHeader): boolean {
    if (events > 0) {
      if (lastSeq <= this.#lastSeq) return false;
      this.#lastSeq = lastSeq;
      return true;
    }
    const identity = `${headerCrc} ${storedCrc}`;
    if (this.#withoutEntries.has(identity)) return false;
    this.#withoutEntries.add(identity);
    return true;
  }
}

async function readBlock(
  reading: BlockReading,
  key: string,
  entry: StreamEntry,
  sealed: boolean,
): Promise<ReadBlock | undefined> {
  const { block } = entry;
  if (!block) return undefined;
  const { header, stored, reason } = checked(block, reading.compression);
  if (header && stored) return { header, stored, sealed, entry: { ...entry, block } };
  await setAside(reading, key, { id: entry.id, block, reason, header });
  return undefined;
}

interface Checked {
  readonly header?: BlockHeader;
  /** Only of an intact block. */
  readonly stored?: Uint8Array;
  readonly reason: string;
}

function checked(block: Uint8Array, compression: Compression): Checked {
  try {
    const header = decodeBlockHeader(block, 0, compression);
    const stored = block.subarray(BLOCK_HEADER_BYTES);
    const isIntact = stored.length === header.storedLength && compression.crc32(stored) === header.storedCrc;
    const reason = 'the block does not have the length or crc that its header names';
    return { header, reason, ...(isIntact && { stored }) };
  } catch (error) {
    if (!isGametapeError(error, 'DAMAGED')) throw error;
    return { reason: error.message };
  }
}

async function setAside(
  { connection, keys, onDamage }: BlockReading,
  key: string,
  { id, block, reason, header }: { id: EntryId; block: Uint8Array; reason: string; header: BlockHeader | undefined },
): Promise<void> {
  if (!onDamage) return;
  const fields = ['k', key, 'i', idText(id), 'w', reason, 'b', block];
  await readPatiently(connection, ['XADD', keys.damaged, 'MAXLEN', '~', MOST_DAMAGED, '*', ...fields]);
  await readPatiently(connection, ['XDEL', key, idText(id)]);
  const lost = header && { recordingId: header.recordingId, firstSeq: header.firstSeq, lastSeq: header.lastSeq };
  const where = { path: `${key} ${idText(id)}`, offset: 0, length: block.length, copyPath: keys.damaged };
  onDamage({ ...where, reason, ...(lost && { lost }) });
}
