import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  type Compression,
  decodeBlockHeader,
  isGametapeError,
} from '@gametape/shared';
import type { JournalDamage } from './damage.ts';
import type { RecoveredBlock } from './journal.ts';
import type { RedisConnection } from './redis-connection.ts';
import {
  type EntryId,
  FIRST_ID,
  idText,
  type RoomKeys,
  readEntries,
  readPatiently,
  type StreamEntry,
} from './redis-entries.ts';

/** Entries that were set aside are kept up to this many, the latest. */
const MOST_DAMAGED = 1_000;

export interface BlockReading {
  readonly connection: RedisConnection;
  readonly keys: RoomKeys;
  readonly compression: Compression;
  readonly onDamage: (damage: JournalDamage) => void;
}

/** A block of a stream, with the entry it was in. */
export interface ReadBlock extends RecoveredBlock {
  readonly entry: StreamEntry & { readonly block: Uint8Array };
}

/** The sealed blocks of a recording, each once, in order. What is damaged is set aside (J6). */
export async function* sealedBlocks(reading: BlockReading, recordingId: string): AsyncGenerator<ReadBlock> {
  const { connection, keys } = reading;
  const first = await readPatiently(connection, ['HGET', keys.recordings, recordingId]);
  const from = /^\d+-\d+$/.exec(String(first ?? '')) ? idOf(String(first)) : FIRST_ID;
  const seen = new SeenBlocks();
  for await (const entry of readEntries(connection, keys.checkpoints, 'checkpoints', from)) {
    if (entry.recordingId !== recordingId) continue;
    const read = await readBlock(reading, keys.checkpoints, entry, true);
    if (read && seen.isNew(read.header)) yield read;
  }
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
  const { compression } = reading;
  let reason: string;
  let header: BlockHeader | undefined;
  try {
    header = decodeBlockHeader(block, 0, compression);
    const stored = block.subarray(BLOCK_HEADER_BYTES);
    if (stored.length === header.storedLength && compression.crc32(stored) === header.storedCrc) {
      return { header, stored, sealed, entry: { ...entry, block } };
    }
    reason = 'the block does not have the length or crc that its header names';
  } catch (error) {
    if (!isGametapeError(error, 'DAMAGED')) throw error;
    reason = error.message;
  }
  await setAside(reading, key, { id: entry.id, block, reason, header });
  return undefined;
}

async function setAside(
  { connection, keys, onDamage }: BlockReading,
  key: string,
  { id, block, reason, header }: { id: EntryId; block: Uint8Array; reason: string; header: BlockHeader | undefined },
): Promise<void> {
  const fields = ['k', key, 'i', idText(id), 'w', reason, 'b', block];
  await readPatiently(connection, ['XADD', keys.damaged, 'MAXLEN', '~', MOST_DAMAGED, '*', ...fields]);
  await readPatiently(connection, ['XDEL', key, idText(id)]);
  const lost = header && { recordingId: header.recordingId, firstSeq: header.firstSeq, lastSeq: header.lastSeq };
  const where = { path: `${key} ${idText(id)}`, offset: 0, length: block.length, copyPath: keys.damaged };
  onDamage({ ...where, reason, ...(lost && { lost }) });
}

function idOf(text: string): EntryId {
  const [epoch = 0, n = 0] = text.split('-').map(Number);
  return { epoch, n };
}
