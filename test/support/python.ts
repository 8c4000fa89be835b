import { execFileSync } from 'node:child_process';

/** Why Python 3 cannot be used, or undefined if it can. */
export function pythonFault(): string | undefined {
  try {
    execFileSync('python3', ['--version']);
    return undefined;
  } catch {
    return 'python3 does not run';
  }
}

/** Whether suites that need Python are to be skipped, which is said loudly; under `CI=true` they fail instead. */
export function withoutPython(suite: string): boolean {
  const fault = pythonFault();
  const isSkipped = fault !== undefined && process.env.CI !== 'true';
  if (isSkipped) console.warn(`SKIPPED: ${suite}: ${fault}`);
  return isSkipped;
}
