import { ExitCode } from './exit-code.ts';
import { reportFailure } from './failure.ts';
import { watchSignals } from './interruption.ts';
import { makeProgram } from './program.ts';

/** What `bin/gametape.mjs` runs. */
watchSignals();
process.stdout.on('error', endOfReader);
process.stderr.on('error', endOfReader);
try {
  await makeProgram().parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error, { json: wantsJson(process.argv) });
}
await Promise.all([drained(process.stdout), drained(process.stderr)]);
process.exit(process.exitCode ?? ExitCode.Ok);

/** Whoever read what is printed has seen enough (`| head`): nothing is wrong. */
function endOfReader(error: NodeJS.ErrnoException): void {
  process.exit(error.code === 'EPIPE' ? (process.exitCode ?? ExitCode.Ok) : ExitCode.Failed);
}

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json');
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}
