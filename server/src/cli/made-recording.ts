import { randomBytes } from 'node:crypto';
import { type ByteSink, GametapeError, makeRecordingId, type RecordingSummary } from '@gametape/shared';
import { ExitCode } from './exit-code.ts';
import { formatOfName } from './file-format.ts';
import { writeOutput } from './output-file.ts';
import { printLine, say } from './terminal.ts';

export interface MadeOptions {
  readonly output: string;
  readonly overwrite?: true;
  readonly json?: true;
}

/** What a verb made: a line for people, fields for programs, and what of the input is not in it. */
export interface Made {
  readonly summary: RecordingSummary;
  readonly text: string;
  readonly fields: object;
  readonly losses: readonly string[];
}

/** Writes the recording that `make` makes, and reports it: exit code 3 when something is lost. */
export async function writeMadeRecording(
  { output, overwrite, json }: MadeOptions,
  make: (sink: ByteSink, recordingId: string) => Promise<Made>,
): Promise<void> {
  const isStdout = output === '-';
  refuseOtherFormats(output);
  const recordingId = makeRecordingId(Date.now(), randomBytes(10));
  const write = (sink: ByteSink) => make(sink, recordingId);
  const { summary, text, fields, losses } = isStdout
    ? await write(STDOUT)
    : await writeOutput(output, { overwrite: overwrite === true }, write);
  for (const loss of losses) say(loss);
  say(`${isStdout ? '<stdout>' : output}: ${text}`);
  if (losses.length > 0) process.exitCode = ExitCode.Losses;
  if (!json || isStdout) return;
  const { complete, events, durationUs, players } = summary;
  const durationS = durationUs / 1_000_000;
  await printLine(JSON.stringify({ output, recordingId, ...fields, durationS, events, complete, players, losses }));
}

function refuseOtherFormats(output: string): void {
  const format = formatOfName(output);
  if (format === undefined || format === 'lmsp') return;
  throw new GametapeError('FORMAT_UNKNOWN', `${output}: expected a name that ends in .lmsp`, {
    hint: 'Write .lmsp and turn that into other formats with `gametape convert`.',
  });
}

/** Never closed: the process ends with it. */
export const STDOUT: ByteSink = {
  write: (bytes) =>
    new Promise((resolve, reject) => process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()))),
};
