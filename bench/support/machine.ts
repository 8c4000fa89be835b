import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

/** The root of the repository: this runs from `bench/dist/support`. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Machine, Node version and commit: a figure without them says nothing. */
export function machineLine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  const machine = `${availableParallelism()} x ${model}, ${memoryGiB} GiB, ${platform()} ${release()}`;
  return `${machine}; Node ${process.version}; commit ${commit()}; ${new Date().toISOString().slice(0, 16)}Z`;
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const isClean = git('status', '--porcelain').trim() === '';
    return `${git('rev-parse', '--short', 'HEAD').trim()}${isClean ? '' : ' with changes'}`;
  } catch {
    return 'unknown';
  }
}
