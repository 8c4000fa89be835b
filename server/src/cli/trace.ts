import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { GametapeError } from '@gametape/shared';
import { z } from 'zod';
import { lognormal, seededRandom } from './seeded-random.ts';

/** A typist whose times are not known: median pause between keys, and how widely pauses spread. */
const UNKNOWN_GAP_MS = 150;
const UNKNOWN_GAP_SIGMA = 0.75;
/** Edits with equal times are spread over this long: traces are stamped in whole seconds. */
const STAMP_RESOLUTION_MS = 1_000;
/** A trace is text that somebody typed; a gzip file that inflates to more is none. */
const MAX_TRACE_BYTES = 512 * 1024 * 1024;

const GZIP_MAGIC = [0x1f, 0x8b] as const;

const position = z.number().int().nonnegative();
const traceSchema = z.object({
  startContent: z.string().optional(),
  endContent: z.string().optional(),
  txns: z.array(z.object({ time: z.string().optional(), patches: z.array(z.tuple([position, position, z.string()])) })),
});

/** One change of the text: at `at`, `remove` code points go and `insert` comes. */
export interface TraceEdit {
  readonly at: number;
  readonly remove: number;
  readonly insert: string;
  /** When it was made, in milliseconds from any origin; equal for all edits of a trace without times. */
  readonly timeMs: number;
}

/** A recorded editing session of one person. */
export interface Trace {
  readonly path: string;
  readonly startContent: string;
  /** What applying every edit gives, if the trace says so. */
  readonly endContent: string | undefined;
  readonly edits: readonly TraceEdit[];
}

/** Reads a trace, `.json` or gzipped. @throws GametapeError `NOT_FOUND`, `BAD_RECORDING` naming the transaction. */
export async function loadTrace(path: string): Promise<Trace> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (cause as Error).message;
    throw new GametapeError('NOT_FOUND', `${path}: ${why}`, { cause });
  }
  return parseTrace(unzipped(bytes, path), path);
}

/** @throws GametapeError `BAD_RECORDING` naming the transaction and what is wrong with it. */
export function parseTrace(text: string, path: string): Trace {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw badTrace(path, `not JSON: ${(cause as Error).message}`, cause);
  }
  const parsed = traceSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.length ? `${issue.path.join('.')}: ` : '';
    throw badTrace(path, `${where}${issue?.message ?? 'not an editing trace'}`);
  }
  const { startContent = '', endContent, txns } = parsed.data;
  const edits: TraceEdit[] = [];
  let length = [...startContent].length;
  let timeMs = 0;
  for (const [index, txn] of txns.entries()) {
    if (txn.time !== undefined) timeMs = Date.parse(txn.time);
    if (Number.isNaN(timeMs))
      throw badTrace(path, `txns.${index}.time: expected a date, found ${JSON.stringify(txn.time)}`);
    for (const [at, remove, insert] of txn.patches) {
      if (at + remove > length) {
        throw badTrace(
          path,
          `txns.${index}: a patch reaches to ${at + remove}, the text is ${length} code points long`,
        );
      }
      edits.push({ at, remove, insert, timeMs });
      length += [...insert].length - remove;
    }
  }
  return { path, startContent, endContent, edits };
}

/**
 * How long the typist waits before each edit, in milliseconds, none longer than `maxGapMs`. Times that move are used; if
 * they stand still they are unknown, and the rhythm of a typist is made from `seed`.
 */
export function typingGaps(
  edits: readonly TraceEdit[],
  { seed, maxGapMs }: { seed: number; maxGapMs: number },
): Float64Array {
  const gaps = new Float64Array(edits.length);
  const first = edits[0]?.timeMs;
  if (edits.every(({ timeMs }) => timeMs === first)) {
    const random = seededRandom(seed);
    for (let i = 1; i < gaps.length; i++)
      gaps[i] = Math.min(maxGapMs, lognormal(random, UNKNOWN_GAP_MS, UNKNOWN_GAP_SIGMA));
    return gaps;
  }
  const times = spreadTimes(edits);
  for (let i = 1; i < gaps.length; i++) gaps[i] = Math.min(maxGapMs, (times[i] as number) - (times[i - 1] as number));
  return gaps;
}

/** Ids for the players of these files: their names without folder and suffixes, made different where they are the same. */
export function playerNames(paths: readonly string[]): string[] {
  const taken = new Set<string>();
  return paths.map((path) => {
    const base = basename(path)
      .replace(/\.gz$/i, '')
      .replace(/\.json$/i, '');
    const name = base.replace(/[^A-Za-z0-9_-]+/g, '-').slice(0, 56) || 'player';
    let unique = name;
    for (let copy = 2; taken.has(unique); copy++) unique = `${name}-${copy}`;
    taken.add(unique);
    return unique;
  });
}

/** Times that never go back, with runs of equal ones spread evenly up to the next. */
function spreadTimes(edits: readonly TraceEdit[]): Float64Array {
  const times = Float64Array.from(edits, ({ timeMs }) => timeMs);
  // Traces merged from several people step back a little here and there.
  for (let i = 1; i < times.length; i++) times[i] = Math.max(times[i] as number, times[i - 1] as number);
  let start = 0;
  while (start < times.length) {
    const time = times[start] as number;
    let end = start + 1;
    while (end < times.length && times[end] === time) end++;
    const next = end < times.length ? (times[end] as number) : Number.POSITIVE_INFINITY;
    const step = Math.min(STAMP_RESOLUTION_MS, next - time) / (end - start);
    for (let i = start; i < end; i++) times[i] = time + step * (i - start);
    start = end;
  }
  return times;
}

function unzipped(bytes: Uint8Array, path: string): string {
  const isGzip = GZIP_MAGIC.every((byte, index) => bytes[index] === byte);
  try {
    const plain = isGzip ? gunzipSync(bytes, { maxOutputLength: MAX_TRACE_BYTES }) : bytes;
    return new TextDecoder('utf-8', { fatal: true }).decode(plain);
  } catch (cause) {
    throw badTrace(path, `not a text: ${(cause as Error).message}`, cause);
  }
}

function badTrace(path: string, message: string, cause?: unknown): GametapeError {
  return new GametapeError('BAD_RECORDING', `${path}: ${message}`, {
    cause,
    hint: 'A trace is {"startContent"?, "endContent", "txns": [{"time"?, "patches": [[position, deleted, "inserted"]]}]}.',
  });
}
