import { BytesSink, BytesSource, type Compression, isGametapeError, RecordingReader } from '@gametape/shared';
import { expect } from 'vitest';
import { NODE_COMPRESSION } from '../../server/dist/node-compression.js';
import { recoverRecording } from '../../server/dist/recording/recover-recording.js';
import { hasLosses, type RecoverReport } from '../../server/dist/recording/recover-report.js';
import { verifyRecording } from '../../server/dist/recording/verify.js';
import { type DamageTarget, nameOf } from './damage-target.ts';

export interface Recovered {
  readonly bytes: Uint8Array;
  readonly report: RecoverReport;
  readonly hasLosses: boolean;
}

/** Undefined where nothing can be recovered. */
export async function recover(bytes: Uint8Array, compression = NODE_COMPRESSION): Promise<Recovered | undefined> {
  const sink = new BytesSink();
  try {
    const report = await recoverRecording(new BytesSource(bytes), sink, { compression });
    return { bytes: sink.bytes(), report, hasLosses: hasLosses(report) };
  } catch (error) {
    if (isGametapeError(error)) return undefined;
    throw error;
  }
}

/** Compares what damaged copies of one recording still give with what it held. */
export class DamageCheck {
  readonly target: DamageTarget;
  readonly #compression: Compression;
  /** Outputs that were compared entry by entry: what is lost of a block is lost with each of its bits. */
  readonly #known = new Map<string, ReadonlySet<string>>();

  constructor(target: DamageTarget, compression: Compression) {
    this.target = target;
    this.#compression = compression;
  }

  get recordingId(): string {
    return this.target.recordingId;
  }

  /** Names of what comes back; every entry, and the state after it, is the very one that was recorded (R3). */
  async returned({ bytes, report }: Recovered): Promise<ReadonlySet<string>> {
    const name = `${bytes.length}:${NODE_COMPRESSION.crc32(bytes)}`;
    const known = this.#known.get(name);
    if (known) return known;
    const names = await this.#namesOf(bytes);
    const { problems, complete } = await verifyRecording(new BytesSource(bytes), this.#compression);
    expect(problems, 'what verify says of what is recovered').toEqual([]);
    expect(complete).toBe(report.complete);
    if (names.size < this.target.entries.size) expect(complete, 'complete').toBe(false);
    this.#known.set(name, names);
    return names;
  }

  async #namesOf(bytes: Uint8Array): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    const reader = await RecordingReader.open(new BytesSource(bytes), this.#compression);
    for await (const { entry, context } of reader.steps()) {
      const name = nameOf(entry);
      const original = this.target.entries.get(name);
      if (names.has(name) || !original || !isSame(entry, original.entry)) throw new Error(`wrong entry ${name}`);
      if (JSON.stringify(context.state.toJson()) !== original.state) throw new Error(`wrong state after ${name}`);
      names.add(name);
    }
    return names;
  }
}

function isSame(one: TimelineFields, other: TimelineFields): boolean {
  const isSameBody = one.body.length === other.body.length && one.body.every((byte, i) => byte === other.body[i]);
  const fields = (entry: TimelineFields) => JSON.stringify({ ...entry, body: undefined }, Object.keys(entry).sort());
  return isSameBody && fields(one) === fields(other);
}

type TimelineFields = DamageTarget['entries'] extends ReadonlyMap<string, { entry: infer Entry }> ? Entry : never;
