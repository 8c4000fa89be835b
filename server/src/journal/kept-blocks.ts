import { type BlockHeader, linkOf } from '@gametape/shared';
import type { Place, Segment, SegmentSet } from './segment-set.ts';

interface KeptBlock {
  readonly place: Place;
  /** Where it belongs among the recording's blocks. */
  readonly rank: number;
}

/**
 * The blocks of the log that are still needed, while its segments are read in order. What is sealed is forgotten on the
 * way: a log may hold much of it.
 */
export class KeptBlocks {
  readonly #segments: SegmentSet;
  readonly #sealedSeq: (recordingId: string) => number;
  readonly #kept = new Map<string, KeptBlock[]>();
  readonly #seen = new Map<string, Set<string>>();
  readonly #ranks = new Map<string, { last: number; sealed: number }>();
  readonly #unneeded: Place[] = [];

  /** @param sealedSeq the last seq of a recording that is sealed; infinity for one that is finished */
  constructor(segments: SegmentSet, sealedSeq: (recordingId: string) => number) {
    this.#segments = segments;
    this.#sealedSeq = sealedSeq;
  }

  /** Recordings that need something of the log. */
  get recordings(): Iterable<string> {
    return this.#kept.keys();
  }

  /**
   * In the order in which they were appended. What was written anew after an error is in a later segment, and a power loss may
   * bring back parts of the tail that it replaced: then blocks that belong between those are only in the later one (J5).
   */
  placesOf(recordingId: string): Place[] {
    const sorted = [...(this.#kept.get(recordingId) ?? [])].sort((a, b) => a.rank - b.rank);
    let lastSeq = 0;
    return sorted.map(({ place }) => {
      lastSeq = Math.max(lastSeq, place.lastSeq);
      place.lastSeq = lastSeq;
      return place;
    });
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
    const { events, firstSeq, lastSeq } = header;
    const ranks = this.#ranks.get(recordingId) ?? { last: 0, sealed: 0 };
    this.#ranks.set(recordingId, ranks);
    // One without entries belongs behind the one before it.
    const rank = events > 0 ? firstSeq : ranks.last;
    if (events > 0) ranks.last = lastSeq + 0.5;
    if (events > 0 && lastSeq <= sealedSeq) ranks.sealed = Math.max(ranks.sealed, rank);
    if (rank <= ranks.sealed) {
      this.#forget(recordingId, ranks.sealed);
      return;
    }
    const kept = this.#kept.get(recordingId) ?? [];
    const seen = this.#seen.get(recordingId) ?? new Set();
    this.#kept.set(recordingId, kept);
    this.#seen.set(recordingId, seen);
    // After a failed sync the same block may be in two segments (J5).
    const identity = `${header.headerCrc} ${lastSeq}`;
    if (seen.has(identity)) return;
    seen.add(identity);
    const place: Place = { lastSeq, length: linkOf(header).length, offset, isReleased: false };
    this.#segments.move(place, segment, offset);
    kept.push({ place, rank });
  }

  #forget(recordingId: string, sealedRank: number): void {
    const kept = this.#kept.get(recordingId) ?? [];
    const rest = kept.filter(({ rank }) => rank > sealedRank);
    for (const { place, rank } of kept) if (rank <= sealedRank) this.#unneeded.push(place);
    if (rest.length > 0) this.#kept.set(recordingId, rest);
    else {
      this.#kept.delete(recordingId);
      this.#seen.delete(recordingId);
    }
  }
}
