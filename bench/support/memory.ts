import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const REWRITE = fileURLToPath(new URL('../processes/rewrite.js', import.meta.url));

export interface RewriteMemory {
  readonly events: number;
  readonly peakMiB: number;
}

/** Reads a recording and writes it anew, in a process of its own, a block in memory at a time. */
export async function rewriteMemory(path: string): Promise<RewriteMemory> {
  const { stdout } = await promisify(execFile)(process.execPath, [REWRITE, path, `${path}.again`]);
  return JSON.parse(stdout) as RewriteMemory;
}
