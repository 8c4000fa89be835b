import { join } from 'node:path';
import type { Files } from './files.ts';

const NAME = /^([0-9A-Z]{26})\.([0-9a-f]{16})\.finished$/;
const DIGITS = 16;

interface Mark {
  readonly path: string;
  readonly newest: number;
}

/**
 * Recordings that are finished while the shared log still holds blocks of them: an empty file each, whose name says
 * which was the newest segment then. Without them, a restart would bring finished recordings back.
 */
export class FinishedMarks {
  readonly #files: Files;
  readonly #directory: string;
  readonly #marks = new Map<string, Mark>();

  constructor(files: Files, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  has(recordingId: string): boolean {
    return this.#marks.has(recordingId);
  }

  /** Number of the newest segment that any of them knew. */
  get newestSegment(): number {
    return Math.max(0, ...[...this.#marks.values()].map(({ newest }) => newest));
  }

  /** Takes note of a file that is there; false if its name is not a mark's. */
  learn(name: string): boolean {
    const [, recordingId, digits] = NAME.exec(name) ?? [];
    if (recordingId === undefined || digits === undefined) return false;
    this.#marks.set(recordingId, { path: join(this.#directory, name), newest: Number.parseInt(digits, 16) });
    return true;
  }

  /** One that is there already will do: what is released is not written anew into later segments. */
  async add(recordingId: string, newestSegment: number): Promise<void> {
    if (this.has(recordingId)) return;
    const name = `${recordingId}.${newestSegment.toString(16).padStart(DIGITS, '0')}.finished`;
    const file = await this.#files.open(join(this.#directory, name));
    await file.close();
    await this.#files.syncDirectory(this.#directory);
    this.learn(name);
  }

  /** Removes the marks that no segment needs any more. */
  async sweep(oldestSegment: number): Promise<void> {
    const unneeded = [...this.#marks].filter(([, { newest }]) => newest < oldestSegment);
    if (unneeded.length === 0) return;
    // First the removal of the segments must be stable: one that came back would bring its recordings back.
    await this.#files.syncDirectory(this.#directory);
    for (const [recordingId, { path }] of unneeded) {
      this.#marks.delete(recordingId);
      await this.#files.remove(path);
    }
  }
}
