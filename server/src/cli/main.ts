import { ExitCode } from './exit-code.ts';
import { reportFailure } from './failure.ts';
import { watchSignals } from './interruption.ts';
import { makeProgram } from './program.ts';

/** What `bin/gametape.mjs` runs. */
watchSignals();
process.stdout.on('error', endOfReader);
process.stderr.on('error', endOfReader);
try {
  const program = await makeProgram(process.argv.slice(2));
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error, { json: wantsJson(process.argv) });
}
await Promise.all([drained(process.stdout), drained(process.stderr)]);
process.exit(process.exitCode ?? ExitCode.Ok);

/** Whoever read what is printed has seen enough (`| head`): nothing is wrong. Anything else is, such as a full disk. */
function endOfReader(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? ExitCode.Ok);
  if (!process.stderr.destroyed) reportFailure(error, { json: wantsJson(process.argv) });
  process.exit(ExitCode.Failed);
}

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json');
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}
