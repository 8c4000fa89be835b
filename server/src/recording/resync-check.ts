import {
  type BlockHeader,
  BlockKind,
  type BlockLink,
  type ByteSource,
  type Compression,
  chainFault,
  isGametapeError,
  linkOf,
  type RecordingMeta,
} from '@gametape/shared';
import { type ScannedBlock, type ScannedDamage, scanLog } from '../journal/log-scan.ts';
import { checkBlock, type KnownRecording } from './block-check.ts';
import type { Problems } from './problems.ts';

const MICROSECONDS = 1_000_000;

/** The block before which something may be missing: what it says of itself, and where it ends. */
interface Before {
  readonly link: BlockLink;
  readonly lastSeq: number;
  readonly lastTime: number;
}

/**
 * Goes on past damage in a file that no index lists: at the next block that is intact, each replayed from its own
 * keyframes. Between them it says which range of events and times is lost (R3).
 */
export class ResyncCheck {
  blocks = 0;
  entries = 0;
  events = 0;
  checkpoints = 0;
  readonly #known: KnownRecording;
  readonly #problems: Problems;
  readonly #compression: Compression;
  #before: Before | undefined;
  #damage: ScannedDamage[] = [];

  constructor(known: KnownRecording, problems: Problems, compression: Compression) {
    this.#known = known;
    this.#problems = problems;
    this.#compression = compression;
  }

  get meta(): RecordingMeta {
    return this.#known.meta;
  }

  /** @param last header of the block that ends at `from`; undefined at the start of the file */
  async run(source: ByteSource, from: number, last: BlockHeader | undefined): Promise<void> {
    if (last) this.#pass(last);
    for await (const scanned of scanLog(source, from, await source.size(), this.#compression)) {
      if (scanned.kind === 'damage') this.#damage.push(scanned);
      else this.#check(scanned);
    }
    this.#reportDamage(undefined);
  }

  #check({ header, stored, offset }: ScannedBlock): void {
    const where = `block at byte ${offset}`;
    if (header.recordingId !== this.#known.meta.recordingId) {
      this.#problems.add(where, `it belongs to recording ${header.recordingId}`);
      return;
    }
    const isDamaged = this.#damage.length > 0;
    this.#reportDamage(header);
    const fault = isDamaged ? undefined : chainFault(header, this.#before?.link ?? { length: 0, headerCrc: 0 });
    if (fault) this.#problems.add(where, `${fault}: ${rangeLost(this.#before, header)}`);
    if (header.kind === BlockKind.Events) this.#replay(header, stored, where);
    this.#pass(header);
  }

  #replay(header: BlockHeader, stored: Uint8Array, where: string): void {
    this.blocks++;
    this.entries += header.events;
    try {
      const { content, events } = checkBlock(header, stored, this.#known, this.#compression);
      this.events += events;
      this.checkpoints += content.checkpoints.length;
    } catch (error) {
      if (!isGametapeError(error)) throw error;
      this.#problems.add(where, `${error.message}; ${rangeOf(header)}`, error.code);
    }
  }

  #reportDamage(next: BlockHeader | undefined): void {
    for (const [i, { offset, length, reason, header }] of this.#damage.entries()) {
      const isLast = i === this.#damage.length - 1;
      const range = header && header.events > 0 ? rangeOf(header) : isLast && rangeLost(this.#before, next);
      const lost = range ? `; ${range}` : '';
      this.#problems.add(`byte ${offset}`, `the next ${length} bytes are no intact block: ${reason}${lost}`);
    }
    this.#damage = [];
  }

  #pass(header: BlockHeader): void {
    const { lastSeq, lastTime, events } = header;
    const place = events > 0 || !this.#before ? { lastSeq, lastTime } : this.#before;
    this.#before = { ...place, link: linkOf(header) };
  }
}

function rangeOf({ firstSeq, lastSeq, firstTime, lastTime, events }: BlockHeader): string {
  return `lost: ${events} entries, events ${firstSeq} to ${lastSeq}, seconds ${seconds(firstTime)} to ${seconds(lastTime)}`;
}

function rangeLost(before: Before | undefined, next: BlockHeader | undefined): string {
  const to = next && next.events > 0 ? next : undefined;
  if (before && to && to.firstSeq <= before.lastSeq)
    return 'what follows is of an earlier time: nothing says what is lost';
  const seqs = `events ${before ? before.lastSeq + 1 : 1} to ${to ? to.firstSeq - 1 : 'an unknown end'}`;
  const times = `seconds ${before ? seconds(before.lastTime) : 'from the start'} to ${to ? seconds(to.firstTime) : 'an unknown end'}`;
  return `lost: at most ${seqs}, ${times}`;
}

function seconds(time: number): string {
  return (time / MICROSECONDS).toFixed(3);
}
