import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

const HOOK = new URL('../processes/report-memory.js', import.meta.url).href;

export interface PeakMemory {
  /** Most memory that the process ever had in RAM, its threads included. */
  readonly peakMiB: number;
  readonly seconds: number;
}

/** Runs a Node program in a process of its own. */
export async function peakMemory(script: string, args: readonly string[]): Promise<PeakMemory> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, ['--import', HOOK, script, ...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
  const closed = once(child, 'close') as Promise<[code: number | null]>;
  const [report, [code]] = await Promise.all([text(child.stdio[3] as Readable), closed]);
  if (code !== 0) throw new Error(`${script} ${args.join(' ')}: exit code ${code}`);
  const { peakMiB } = JSON.parse(report) as { peakMiB: number };
  return { peakMiB, seconds: (performance.now() - startedAt) / 1_000 };
}
