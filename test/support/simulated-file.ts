/** What a power loss keeps or loses as one. */
export const SECTOR_BYTES = 512;

/** Numbers from 0 to 1. */
export type Random = () => number;

type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly size: number };

/**
 * One file: what whoever reads it sees, and what would be left of it after a power loss. Changes wait for a sync that starts
 * after them.
 */
export class SimulatedFile {
  #seen = new Content();
  #stable = new Content();
  #changes: Change[] = [];
  /** What a failed sync has dropped: later syncs take it for written (Linux marks its pages clean). */
  #dropped: Change[] = [];

  get bytes(): Uint8Array {
    return this.#seen.bytes;
  }

  /** Changes so far: a sync that starts now covers them. */
  get changes(): number {
    return this.#changes.length;
  }

  write(offset: number, bytes: Uint8Array): void {
    const change = { kind: 'write', offset, bytes: bytes.slice() } as const;
    this.#seen.apply(change);
    this.#changes.push(change);
  }

  truncate(size: number): void {
    const change = { kind: 'truncate', size } as const;
    this.#seen.apply(change);
    this.#changes.push(change);
  }

  /** The first `count` changes are on the disk. */
  sync(count: number): void {
    for (const change of this.#changes.splice(0, count)) {
      this.#stable.apply(change);
      if (this.#dropped.length > 0) this.#dropped = this.#dropped.filter((dropped) => !replaces(change, dropped));
    }
  }

  /** A sync of the first `count` changes failed: they may never reach the disk, whatever later syncs say. */
  failSync(count: number): void {
    this.#dropped.push(...this.#changes.splice(0, count));
  }

  /** The file after a power loss: all that was synced, and any sectors of what was not. */
  loseUnsynced(random: Random): void {
    const left = this.#stable;
    const odds = random();
    for (const change of [...this.#dropped, ...this.#changes]) {
      if (change.kind === 'truncate') {
        if (random() < odds) left.apply(change);
        continue;
      }
      for (const sector of sectorsOf(change)) if (random() < odds) left.apply(sector);
      // The new length may be on the disk without the bytes.
      const end = change.offset + change.bytes.length;
      if (end > left.bytes.length && random() < odds) left.apply({ kind: 'write', offset: end, bytes: NOTHING });
    }
    this.#seen = left.copy();
    this.#changes = [];
    this.#dropped = [];
  }
}

const NOTHING = new Uint8Array(0);

/** Bytes that grow and shrink; what was never written is 0. */
class Content {
  #buffer = new Uint8Array(1_024);
  #length = 0;

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  copy(): Content {
    const copy = new Content();
    copy.apply({ kind: 'write', offset: 0, bytes: this.bytes });
    return copy;
  }

  apply(change: Change): void {
    if (change.kind === 'truncate') {
      this.#reserve(change.size);
      this.#buffer.fill(0, Math.min(change.size, this.#length), this.#length);
      this.#length = change.size;
      return;
    }
    const end = change.offset + change.bytes.length;
    this.#reserve(end);
    this.#buffer.set(change.bytes, change.offset);
    this.#length = Math.max(this.#length, end);
  }

  #reserve(length: number): void {
    if (length <= this.#buffer.length) return;
    const before = this.#buffer;
    this.#buffer = new Uint8Array(Math.max(length, 2 * before.length));
    this.#buffer.set(before);
  }
}

function* sectorsOf({ offset, bytes }: Change & { kind: 'write' }): Generator<Change> {
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, (Math.floor((offset + from) / SECTOR_BYTES) + 1) * SECTOR_BYTES - offset);
    yield { kind: 'write', offset: offset + from, bytes: bytes.subarray(from, to) };
    from = to;
  }
}

/** Whether nothing of an earlier change is left after a later one. */
function replaces(later: Change, earlier: Change): boolean {
  if (later.kind === 'truncate') return earlier.kind === 'truncate' || later.size <= earlier.offset;
  const end = later.offset + later.bytes.length;
  // A file that is known to be longer is not cut any more by what failed before.
  if (earlier.kind === 'truncate') return end > earlier.size;
  return later.offset <= earlier.offset && end >= earlier.offset + earlier.bytes.length;
}
