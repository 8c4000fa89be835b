import { type BlockHeader, linkOf } from '@gametape/shared';
import type { Place, Segment, SegmentSet } from './segment-set.ts';

/**
 * The blocks of the log that are still needed, while its segments are read in order. What is sealed is forgotten on the
 * way: a log may hold much of it.
 */
export class KeptBlocks {
  readonly #segments: SegmentSet;
  readonly #sealedSeq: (recordingId: string) => number;
  readonly #places = new Map<string, Place[]>();
  readonly #seen = new Map<string, Set<string>>();
  readonly #unneeded: Place[] = [];

  /** @param sealedSeq the last seq of a recording that is sealed; infinity for one that is finished */
  constructor(segments: SegmentSet, sealedSeq: (recordingId: string) => number) {
    this.#segments = segments;
    this.#sealedSeq = sealedSeq;
  }

  /** Recordings that need something of the log. */
  get recordings(): Iterable<string> {
    return this.#places.keys();
  }

  placesOf(recordingId: string): Place[] {
    return this.#places.get(recordingId) ?? [];
  }

  /** What was kept for a while. */
  unneeded(): readonly Place[] {
    return this.#unneeded;
  }

  /**
   * Blocks that hold nothing but records do not say where in the recording they were appended: one that comes after the
   * last sealed entry may be sealed or not, and is kept.
   */
  take(segment: Segment, offset: number, header: BlockHeader): void {
    const { recordingId } = header;
    const sealedSeq = this.#sealedSeq(recordingId);
    if (sealedSeq === Number.POSITIVE_INFINITY) return;
    if (header.events > 0 && header.lastSeq <= sealedSeq) {
      this.#forget(recordingId);
      return;
    }
    const places = this.#places.get(recordingId) ?? [];
    const seen = this.#seen.get(recordingId) ?? new Set();
    this.#places.set(recordingId, places);
    this.#seen.set(recordingId, seen);
    // After a failed sync the same block may be in two segments (J5).
    const identity = `${header.headerCrc} ${header.lastSeq}`;
    if (seen.has(identity)) return;
    seen.add(identity);
    const lastSeq = Math.max(header.lastSeq, places.at(-1)?.lastSeq ?? 0);
    const place: Place = { lastSeq, length: linkOf(header).length, offset, isReleased: false };
    this.#segments.move(place, segment, offset);
    places.push(place);
  }

  #forget(recordingId: string): void {
    for (const place of this.#places.get(recordingId) ?? []) this.#unneeded.push(place);
    this.#places.delete(recordingId);
    this.#seen.delete(recordingId);
  }
}
