import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { BenchOptions } from './bench.ts';
import { ROOT } from './machine.ts';
import { warn } from './print.ts';
import { loadTrace, makeDemoSession, type Trace } from './private-parts.ts';

const USUAL = ['friendsforever_flat.json.gz', 'rustcode.json.gz', 'clownschool_flat.json.gz'] as const;

export interface NamedTrace {
  readonly name: string;
  readonly trace: Trace;
  /** The file, for programs that are given one; undefined for a trace that was generated. */
  readonly path: string | undefined;
}

/** The traces to measure with: the ones given, else the usual three, else one that is generated. */
export async function loadTraces({ traces, limit }: BenchOptions): Promise<NamedTrace[]> {
  const usual = USUAL.map((name) => join(ROOT, '..', 'shared', 'data', name));
  // Programs that are given them run elsewhere.
  const paths = traces.length > 0 ? traces.map((path) => resolve(path)) : usual.filter(isThere);
  const loaded = await Promise.all(paths.map((path) => loadNamed(path, limit)));
  if (loaded.length > 0) return loaded;
  warn('no trace is there: a generated session of a minute stands in, whose figures say little');
  return [{ name: 'demo', trace: limited(demoTrace(), limit), path: undefined }];
}

async function loadNamed(path: string, limit: number | undefined): Promise<NamedTrace> {
  const name = basename(path).replace(/(_flat)?\.json(\.gz)?$/, '');
  return { name, path, trace: limited(await loadTrace(path), limit) };
}

function isThere(path: string): boolean {
  const found = existsSync(path);
  if (!found) warn(`${path} is not there; name traces with --trace FILE`);
  return found;
}

function limited(trace: Trace, limit: number | undefined): Trace {
  return { ...trace, edits: trace.edits.slice(0, limit) };
}

function demoTrace(): Trace {
  const [player] = makeDemoSession(1);
  let timeMs = 0;
  const edits = player.steps.flatMap((step) => {
    timeMs += step.afterMs;
    return step.does === 'type' ? [{ at: step.at, remove: step.remove, insert: step.insert, timeMs }] : [];
  });
  return { path: 'demo', startContent: '', endContent: player.finalCode, edits };
}
