import { spawnSync } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { tempDir } from './temp-dir.ts';

/** Why strace cannot be used, or undefined if it can. */
const straceFault = faultOf('strace', ['-f', '-e', 'trace=fdatasync', 'true']);
const prlimitFault = faultOf('prlimit', ['--nofile']);

/** Whether strace runs here. One loud line says so when it does not; under CI it must. */
export const hasStrace = isThere('what happens when system calls of a relay fail', straceFault);
export const hasPrlimit = isThere('what happens when a relay runs into limits of its process', prlimitFault);
/** Whether file systems can be mounted: only root can, and under CI root must. */
export const canMount = findMount();

/** A small file system of the test's own, in memory, which can be made larger. */
export class SmallDisk {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async mount(megabytes: number): Promise<SmallDisk> {
    const path = await tempDir();
    run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'gametape-test', path]);
    onTestFinished(() => run('umount', ['--lazy', path]));
    return new SmallDisk(path);
  }

  resize(megabytes: number): void {
    run('mount', ['-o', `remount,size=${megabytes}m`, this.path]);
  }
}

/** Sets a limit of a process that runs, such as `--nofile=10`. */
export function setLimit(pid: number, limit: string): void {
  run('prlimit', ['--pid', String(pid), limit]);
}

function run(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
}

function faultOf(program: string, args: readonly string[]): string | undefined {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? undefined : `${program} does not run: ${error?.message ?? stderr.trim()}`;
}

function isThere(what: string, fault: string | undefined): boolean {
  if (fault === undefined) return true;
  if (process.env.CI === 'true') throw new Error(fault);
  console.warn(`SKIPPED: ${what}: ${fault}`);
  return false;
}

function findMount(): boolean {
  const isRoot = process.getuid?.() === 0;
  if (!isRoot) {
    console.warn('SKIPPED: what happens on a disk that fills up: only root can mount a small one');
    return false;
  }
  // In a user namespace, or a container without the right, root cannot either.
  return isThere(
    'what happens on a disk that fills up',
    faultOf('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']),
  );
}
