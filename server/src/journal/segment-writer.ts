import { dirname } from 'node:path';
import { type Files, type WritableFile, writeAll } from './files.ts';
import type { Place, Segment, SegmentSet } from './segment-set.ts';

/** A block on its way into the log. */
export interface QueuedBlock {
  readonly bytes: Uint8Array;
  readonly place: Place;
}

/** The segment that is being written. After an error it is only good for `abandon` (J5). */
export class SegmentWriter {
  readonly segment: Segment;
  /** Milliseconds of performance.now(). */
  readonly createdMs = performance.now();
  readonly #file: WritableFile;
  readonly #segments: SegmentSet;
  #bytes = 0;
  #stableBytes = 0;

  private constructor(segment: Segment, file: WritableFile, segments: SegmentSet) {
    this.segment = segment;
    this.#file = file;
    this.#segments = segments;
  }

  /** Makes the next segment, whose name is stable when this resolves. */
  static async create(files: Files, segments: SegmentSet): Promise<SegmentWriter> {
    const segment = segments.next();
    const file = await files.create(segment.path);
    segments.add(segment);
    try {
      await files.syncDirectory(dirname(segment.path));
    } catch (error) {
      await file.close();
      await segments.release(segment);
      throw error;
    }
    return new SegmentWriter(segment, file, segments);
  }

  get bytes(): number {
    return this.#bytes;
  }

  async write(blocks: readonly QueuedBlock[]): Promise<void> {
    const start = this.#bytes;
    const buffers = blocks.map(({ bytes }) => bytes);
    this.#bytes += await writeAll(this.#file, buffers, start);
    let offset = start;
    for (const { bytes, place } of blocks) {
      this.#segments.move(place, this.segment, offset);
      offset += bytes.length;
    }
  }

  /** Covers what was written before this call. */
  async sync(): Promise<void> {
    const covered = this.#bytes;
    await this.#file.datasync();
    this.#stableBytes = covered;
  }

  /** Closes a segment that is full and synced. */
  async close(): Promise<void> {
    try {
      await this.#file.close();
    } finally {
      await this.#segments.release(this.segment);
    }
  }

  /** Closes a segment that failed, and cuts its tail, which is stable elsewhere. */
  async abandon(): Promise<void> {
    try {
      await this.#file.truncate(this.#stableBytes);
      await this.#file.close();
    } catch {
      // The tail stays, and recovery skips blocks it has seen; a descriptor that does not close is of no use to anyone.
    }
    await this.#segments.release(this.segment);
  }

  /** Closes a segment that failed and leaves it as it is: what was accepted into it is nowhere else. */
  async quit(): Promise<void> {
    try {
      await this.#file.close();
    } catch {
      // As above.
    }
  }

  /** After `quit`: what nobody was told of is cut off for good, through a new descriptor (J5). */
  async cutRefused(files: Files): Promise<void> {
    const file = await files.open(this.segment.path);
    try {
      await file.truncate(this.#bytes);
      await file.datasync();
    } finally {
      await file.close();
    }
    await this.#segments.release(this.segment);
  }
}
