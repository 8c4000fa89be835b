import { basename, join } from 'node:path';
import type { BlockHeader, ByteSource } from '@gametape/shared';
import { FileSink } from '../file-sink.ts';
import type { Files } from './files.ts';
import type { ScannedDamage } from './log-scan.ts';

/** Bytes of a journal that are no intact block, and where their copy lies (J6). */
export interface JournalDamage {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly reason: string;
  readonly copyPath: string;
  /** What was there, where its header is intact. Seqs are 0 for a block without entries. */
  readonly lost?: { readonly recordingId: string; readonly firstSeq: number; readonly lastSeq: number };
}

type DamagedBytes = Pick<ScannedDamage, 'offset' | 'length' | 'reason' | 'header'>;

/** Copies damaged bytes aside before anything else happens to them, and tells of each once. */
export class DamageKeeper {
  readonly #files: Files;
  readonly #directory: string;
  readonly #onDamage: (damage: JournalDamage) => void;
  readonly #known = new Set<string>();

  /** @param journalDirectory the directory of the damaged files: their copies go into one inside of it */
  constructor(files: Files, journalDirectory: string, onDamage: (damage: JournalDamage) => void) {
    this.#files = files;
    this.#directory = join(journalDirectory, 'damaged');
    this.#onDamage = onDamage;
  }

  async setAside(source: ByteSource, { offset, length, reason, header }: DamagedBytes): Promise<void> {
    const name = `${basename(source.name)}.${offset}-${offset + length}`;
    if (this.#known.has(name)) return;
    this.#known.add(name);
    const copyPath = join(this.#directory, name);
    await this.#files.makeDirectory(this.#directory);
    const sink = await FileSink.create(copyPath, this.#files);
    try {
      await sink.write(await source.read(offset, length));
    } catch (error) {
      await sink.close();
      throw error;
    }
    await sink.finish();
    const damage = { path: source.name, offset, length, reason, copyPath };
    this.#onDamage(header ? { ...damage, lost: lossOf(header) } : damage);
  }
}

function lossOf({ recordingId, firstSeq, lastSeq }: BlockHeader): JournalDamage['lost'] {
  return { recordingId, firstSeq, lastSeq };
}
