import {
  BLOCK_HEADER_BYTES,
  BytesSink,
  type Compression,
  decodeBlockHeader,
  encodeFileHeader,
  GametapeError,
  recordingIdBytes,
} from '@gametape/shared';
import { rejected } from './appended.ts';
import { coveredBySeal } from './covered-by-seal.ts';
import type { Appended, Claim, Journal, RecoveredBlock, Sealed, SealedBlock, SealedBlocks } from './journal.ts';
import { checkedBlock } from './read-sealed.ts';

interface Kept {
  readonly block: Uint8Array;
  readonly lastSeq: number;
}

interface Recording {
  sealed: Uint8Array[];
  appended: Kept[];
}

const DONE: Appended = { accepted: Promise.resolve(), stable: Promise.resolve() };

/** The journal contract without a disk: nothing survives the process, which is what its `durability` says. */
export class MemoryJournal implements Journal {
  readonly durability = 'memory';
  readonly #compression: Compression;
  readonly #recordings = new Map<string, Recording>();
  #isClosed = false;

  constructor(compression: Compression) {
    this.#compression = compression;
  }

  append(recordingId: string, block: Uint8Array, lastSeq: number): Appended {
    if (this.#isClosed) return rejected(closed());
    this.#recording(recordingId).appended.push({ block, lastSeq });
    return DONE;
  }

  async claim(): Promise<Claim> {
    return { epoch: 0, unfinished: [] };
  }

  async takeOver(): Promise<readonly Claim[]> {
    return [];
  }

  async knows(): Promise<boolean> {
    return false;
  }

  begin(): void {}

  async seal(recordingId: string, block: Uint8Array, lastSeq: number): Promise<Sealed> {
    if (this.#isClosed) throw closed();
    const recording = this.#recording(recordingId);
    recording.sealed.push(block);
    recording.appended = recording.appended.slice(coveredBySeal(recording.appended, lastSeq).length);
    return DONE;
  }

  async *recover(
    recordingId: string,
    isStart: (block: RecoveredBlock) => boolean = () => false,
  ): AsyncGenerator<RecoveredBlock> {
    const { sealed, appended } = this.#recordings.get(recordingId) ?? { sealed: [], appended: [] };
    const start = Math.max(
      0,
      sealed.findLastIndex((block) => isStart(this.#recovered(block, true))),
    );
    for (const block of sealed.slice(start)) yield this.#recovered(block, true);
    for (const { block } of [...appended]) yield this.#recovered(block, false);
  }

  async *sealedBlocks(recordingId: string, after?: SealedBlock): AsyncGenerator<SealedBlock> {
    const from = after ? Number(after.place) + 1 : 0;
    for (const [index, block] of this.#sealedOf(recordingId).entries()) {
      const { header } = this.#recovered(block, true);
      if (index >= from && header.events > 0) yield { header, place: String(index) };
    }
  }

  async readSealed({ header, place }: SealedBlock): Promise<Uint8Array> {
    const block = this.#sealedOf(header.recordingId)[Number(place)];
    if (!block) throw new GametapeError('NOT_FOUND', `recording ${header.recordingId}: it is not here any more`);
    return checkedBlock(block, header, this.#compression);
  }

  async sealed(recordingId: string): Promise<SealedBlocks> {
    const sealed = this.#sealedOf(recordingId);
    if (sealed.length === 0) throw new GametapeError('NOT_FOUND', `recording ${recordingId}: nothing of it is sealed`);
    const sink = new BytesSink();
    await sink.write(encodeFileHeader(this.#compression));
    for (const block of sealed) await sink.write(block);
    return { kind: 'bytes', bytes: sink.bytes() };
  }

  async discard(recordingId: string): Promise<void> {
    this.#recordings.delete(recordingId);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #recording(recordingId: string): Recording {
    let recording = this.#recordings.get(recordingId);
    if (!recording) {
      recordingIdBytes(recordingId);
      recording = { sealed: [], appended: [] };
      this.#recordings.set(recordingId, recording);
    }
    return recording;
  }

  #sealedOf(recordingId: string): readonly Uint8Array[] {
    return this.#recordings.get(recordingId)?.sealed ?? [];
  }

  #recovered(block: Uint8Array, sealed: boolean): RecoveredBlock {
    return {
      header: decodeBlockHeader(block, 0, this.#compression),
      stored: block.subarray(BLOCK_HEADER_BYTES),
      sealed,
    };
  }
}

function closed(): GametapeError {
  return new GametapeError('JOURNAL_FAILED', 'the journal is closed');
}
