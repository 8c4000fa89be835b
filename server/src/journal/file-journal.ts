import { join } from 'node:path';
import {
  type ByteSource,
  type Compression,
  FILE_HEADER_BYTES,
  GametapeError,
  linkOf,
  recordingIdBytes,
} from '@gametape/shared';
import { rejected } from './appended.ts';
import { BufferedSource } from './buffered-source.ts';
import { coveredBySeal } from './covered-by-seal.ts';
import { DamageKeeper, type JournalDamage } from './damage.ts';
import { type Files, NODE_FILES } from './files.ts';
import type { Appended, Claim, Journal, RecoveredBlock, Sealed, SealedBlock, SealedBlocks } from './journal.ts';
import { type JournalDirectory, type JournaledRecording, readJournalDirectory } from './journal-directory.ts';
import { scanLog } from './log-scan.ts';
import { LogWriter } from './log-writer.ts';
import { lookBack } from './look-back.ts';
import { checkedBlock } from './read-sealed.ts';
import { placedHeaders } from './sealed-headers.ts';
import type { Place } from './segment-set.ts';
import { UnfinishedFile } from './unfinished-file.ts';

export interface FileJournalOptions {
  readonly compression: Compression;
  /** Called once for each piece of damage, when its copy is stable. */
  readonly onDamage: (damage: JournalDamage) => void;
  /** A segment that has reached this length is followed by a new one: a start reads those there are. @default 1 MiB */
  readonly segmentBytes?: number;
  /** Least time from the start of one sync to the start of the next. 0: none. @default 20 */
  readonly syncIntervalMs?: number;
  /** @default node:fs */
  readonly files?: Files;
}

const DEFAULT_OPTIONS = { segmentBytes: 1024 * 1024, syncIntervalMs: 20, files: NODE_FILES };

/** Sealing syncs. */
const SYNCED: Sealed = { stable: Promise.resolve() };

/**
 * The journal in files:
 *
 *   DIR/journal/<16 hex digits>.log     segments of the log that all rooms share: blocks one after another
 *   DIR/journal/<recordingId>.lmsp      unfinished recordings: a file header and sealed blocks
 *   DIR/journal/<recordingId>.<16 hex digits>.finished   finished, while segments up to that one still hold blocks of it
 *   DIR/journal/damaged/                copies of damaged bytes (J6)
 *
 * One process at a time may have it open.
 */
export class FileJournal implements Journal {
  readonly durability = 'file';
  readonly #path: string;
  readonly #options: FileJournalOptions & typeof DEFAULT_OPTIONS;
  readonly #directory: JournalDirectory;
  readonly #damage: DamageKeeper;
  readonly #log: LogWriter;
  /** What an earlier process left, until it is taken over. */
  #left: readonly string[];

  private constructor(
    path: string,
    options: FileJournalOptions & typeof DEFAULT_OPTIONS,
    directory: JournalDirectory,
    damage: DamageKeeper,
  ) {
    this.#path = path;
    this.#options = options;
    this.#directory = directory;
    this.#damage = damage;
    this.#left = [...directory.recordings.keys()].sort();
    this.#log = new LogWriter({ ...options, segments: directory.segments });
  }

  /** Opens the journal of a data directory and brings it in order after a crash. */
  static async open(dataDirectory: string, options: FileJournalOptions): Promise<FileJournal> {
    const all = { ...DEFAULT_OPTIONS, ...options };
    if (!(all.segmentBytes > 0)) throw new TypeError(`segmentBytes: expected more than 0, not ${all.segmentBytes}`);
    if (!(all.syncIntervalMs >= 0))
      throw new TypeError(`syncIntervalMs: expected 0 or more, not ${all.syncIntervalMs}`);
    const path = join(dataDirectory, 'journal');
    await all.files.makeDirectory(path);
    await all.files.syncDirectory(dataDirectory);
    const damage = new DamageKeeper(all.files, path, all.onDamage);
    return new FileJournal(path, all, await readJournalDirectory(path, { ...all, damage }), damage);
  }

  /** Why the journal is read-only, if it is (J5). */
  get failed(): GametapeError | undefined {
    return this.#log.failed;
  }

  /** There is one process, and it owns everything. */
  async claim(): Promise<Claim> {
    return { epoch: 0, unfinished: [] };
  }

  async takeOver(): Promise<readonly Claim[]> {
    const unfinished = this.#left;
    this.#left = [];
    return unfinished.length > 0 ? [{ epoch: 0, unfinished }] : [];
  }

  async knows(): Promise<boolean> {
    return false;
  }

  begin(): void {}

  append(recordingId: string, block: Uint8Array, lastSeq: number): Appended {
    const { refusal } = this.#log;
    if (refusal) return rejected(refusal);
    const place: Place = { lastSeq, length: block.length, offset: 0, isReleased: false };
    this.#recording(recordingId).places.push(place);
    return this.#log.append({ bytes: block, place });
  }

  async seal(recordingId: string, block: Uint8Array, lastSeq: number): Promise<Sealed> {
    const { refusal } = this.#log;
    if (refusal) throw refusal;
    const recording = this.#recording(recordingId);
    const covered = coveredBySeal(
      recording.places.filter(({ isReleased }) => !isReleased),
      lastSeq,
    );
    const sealed = recording.sealing.then(() => recording.file.append(block));
    // The caller of this seal hears of its error; the next one starts where the last good one ended.
    recording.sealing = sealed.catch(() => undefined);
    await sealed;
    await this.#release(covered);
    recording.places = recording.places.filter(({ isReleased }) => !isReleased);
    return SYNCED;
  }

  async *recover(recordingId: string, isStart?: (block: RecoveredBlock) => boolean): AsyncGenerator<RecoveredBlock> {
    const recording = this.#directory.recordings.get(recordingId);
    if (!recording) return;
    await this.#log.settle();
    await recording.sealing;
    const places = recording.places.filter(({ isReleased }) => !isReleased);
    if (recording.file.hasBlocks) yield* this.#sealedBlocks(recording.file, isStart);
    yield* this.#appendedBlocks(places);
  }

  async *sealedBlocks(recordingId: string, after?: SealedBlock): AsyncGenerator<SealedBlock> {
    const file = this.#directory.recordings.get(recordingId)?.file;
    if (!file?.hasBlocks) return;
    const from = after ? Number(after.place) + linkOf(after.header).length : FILE_HEADER_BYTES;
    const source = await this.#options.files.read(file.path);
    let lastSeq = after?.header.lastSeq ?? 0;
    try {
      for await (const { offset, header } of placedHeaders(source, from, file.bytes, this.#options.compression)) {
        if (header.events === 0 || header.lastSeq <= lastSeq) continue;
        lastSeq = header.lastSeq;
        yield { header, place: String(offset) };
      }
    } finally {
      await source.close();
    }
  }

  async readSealed({ header, place }: SealedBlock): Promise<Uint8Array> {
    const file = this.#directory.recordings.get(header.recordingId)?.file;
    if (!file) throw new GametapeError('NOT_FOUND', `recording ${header.recordingId}: it is not here any more`);
    const source = await this.#options.files.read(file.path);
    try {
      const bytes = await source.read(Number(place), linkOf(header).length);
      return checkedBlock(bytes, header, this.#options.compression);
    } finally {
      await source.close();
    }
  }

  async sealed(recordingId: string): Promise<SealedBlocks> {
    const recording = this.#directory.recordings.get(recordingId);
    await recording?.sealing;
    if (!recording?.file.hasBlocks) {
      throw new GametapeError('NOT_FOUND', `recording ${recordingId}: nothing of it is sealed`);
    }
    await recording.file.cutTail();
    return { kind: 'file', path: recording.file.path };
  }

  async discard(recordingId: string): Promise<void> {
    const { recordings, segments, marks } = this.#directory;
    const recording = recordings.get(recordingId);
    if (!recording) return;
    await this.#log.settle();
    await recording.sealing;
    if (segments.oldest <= segments.newest) await marks.add(recordingId, segments.newest);
    await recording.file.remove();
    recordings.delete(recordingId);
    await this.#release(recording.places);
  }

  async close(): Promise<void> {
    const { recordings, segments, marks } = this.#directory;
    await Promise.all([...recordings.values()].map(({ sealing }) => sealing));
    await this.#log.close();
    await marks.sweep(segments.oldest);
  }

  async *#sealedBlocks(
    file: UnfinishedFile,
    isStart: ((block: RecoveredBlock) => boolean) | undefined,
  ): AsyncGenerator<RecoveredBlock> {
    const { compression, files } = this.#options;
    const direct = await files.read(file.path);
    const source = new BufferedSource(direct);
    const { bytes } = file;
    let lastSeq = 0;
    try {
      const from = isStart ? await this.#startOf(direct, bytes, isStart) : FILE_HEADER_BYTES;
      for await (const scanned of scanLog(source, from, bytes, compression)) {
        if (scanned.kind === 'damage') {
          await this.#damage.setAside(source, scanned);
          continue;
        }
        const { header, stored } = scanned;
        // The same block twice: its seal was repeated after a crash.
        if (header.events > 0 && header.lastSeq <= lastSeq) continue;
        lastSeq = Math.max(lastSeq, header.lastSeq);
        yield { header, stored, sealed: true };
      }
    } finally {
      await source.close();
    }
  }

  async #startOf(source: ByteSource, end: number, isStart: (block: RecoveredBlock) => boolean): Promise<number> {
    for await (const { offset, header, stored } of lookBack(source, end, this.#options.compression)) {
      if (isStart({ header, stored, sealed: true })) return offset;
    }
    return FILE_HEADER_BYTES;
  }

  async *#appendedBlocks(places: readonly Place[]): AsyncGenerator<RecoveredBlock> {
    const { segments } = this.#directory;
    const sources = new Map<NonNullable<Place['segment']>, ByteSource>();
    try {
      for (const { segment, offset, length } of places) {
        if (!segment) continue;
        let source = sources.get(segment);
        if (!source) {
          segments.need(segment);
          source = new BufferedSource(await this.#options.files.read(segment.path));
          sources.set(segment, source);
        }
        for await (const scanned of scanLog(source, offset, offset + length, this.#options.compression)) {
          if (scanned.kind === 'damage') await this.#damage.setAside(source, scanned);
          else yield { header: scanned.header, stored: scanned.stored, sealed: false };
        }
      }
    } finally {
      for (const [segment, source] of sources) {
        await source.close?.();
        await segments.release(segment);
      }
    }
  }

  async #release(places: readonly Place[]): Promise<void> {
    const { segments, marks } = this.#directory;
    await segments.releasePlaces(places);
    try {
      await marks.sweep(segments.oldest);
    } catch {
      // What is done is done: marks that are left go with the next release, or when the journal is opened again.
    }
  }

  #recording(recordingId: string): JournaledRecording {
    const { recordings } = this.#directory;
    let recording = recordings.get(recordingId);
    if (!recording) {
      // Throws for anything but a recording id: it becomes a file name (S1).
      recordingIdBytes(recordingId);
      const file = new UnfinishedFile(join(this.#path, `${recordingId}.lmsp`), { ...this.#options, bytes: 0 });
      recording = { file, places: [], sealing: Promise.resolve() };
      recordings.set(recordingId, recording);
    }
    return recording;
  }
}
