import { isGametapeError } from '@gametape/shared';
import { CommanderError } from 'commander';
import { ExitCode } from './exit-code.ts';
import { plainLines } from './table.ts';
import { paint, say } from './terminal.ts';

/** The command was given wrongly: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly exitCode: ExitCode;
}

/** Says on stderr what went wrong and what to do, as text or as `{"error": …}`, and returns the exit code for it. */
export function reportFailure(error: unknown, { json }: { json: boolean }): ExitCode {
  const failure = describe(error);
  if (failure === undefined) return ExitCode.Ok;
  const { code, message, hint, exitCode } = failure;
  if (json) say(JSON.stringify({ error: { code, message, hint } }));
  else {
    // It may name what a file or a player called something.
    say(`${paint('red', 'error')}: ${plainLines(message)}`);
    if (hint !== '') say(`${paint('cyan', 'hint')}: ${plainLines(hint)}`);
  }
  return exitCode;
}

/** Undefined for what only looks like an error: help and version were printed. */
function describe(error: unknown): Failure | undefined {
  if (error instanceof CommanderError) return describeUsage(error);
  if (error instanceof UsageError) {
    return { code: 'USAGE', message: error.message, hint: error.hint, exitCode: ExitCode.Usage };
  }
  if (isGametapeError(error)) {
    return { code: error.code, message: error.message, hint: error.hint, exitCode: exitCodeOf(error.code) };
  }
  const { code, message, stack } = error as NodeJS.ErrnoException;
  if (code !== undefined) return { code, message, hint: systemHint(code), exitCode: ExitCode.Failed };
  return {
    code: 'UNEXPECTED',
    message: stack ?? message ?? String(error),
    hint: 'This is a bug of gametape: please report it with the lines above.',
    exitCode: ExitCode.Failed,
  };
}

function describeUsage(error: CommanderError): Failure | undefined {
  if (error.exitCode === 0) return undefined;
  // Commander has printed the help already when a verb is missing.
  if (error.code === 'commander.help') {
    return {
      code: 'USAGE',
      message: 'expected a verb',
      hint: 'Choose one of the list above.',
      exitCode: ExitCode.Usage,
    };
  }
  const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  return { code: 'USAGE', message, hint: 'Add --help to see how it is used.', exitCode: ExitCode.Usage };
}

function exitCodeOf(code: string): ExitCode {
  switch (code) {
    case 'NOT_ALLOWED':
      return ExitCode.NotAllowed;
    case 'DAMAGED':
    case 'BAD_DELTA':
      return ExitCode.Damaged;
    case 'EVENTS_LOST':
      return ExitCode.Losses;
    default:
      return ExitCode.Failed;
  }
}

function systemHint(code: string): string {
  switch (code) {
    case 'ENOENT':
      return 'Check the name.';
    case 'EACCES':
    case 'EPERM':
      return 'Check who may read and write there.';
    case 'EADDRINUSE':
      return 'Another program has this port: choose one with --port, or 0 for any that is free.';
    case 'ENOSPC':
      return 'The disk is full.';
    default:
      return '';
  }
}
