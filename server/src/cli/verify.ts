import { type ByteSource, BytesSink, BytesSource, isGametapeError } from '@gametape/shared';
import type { Command } from 'commander';
import { FileSource } from '../file-source.ts';
import { type VerifyReport, verifyRecording } from '../recording/verify.ts';
import { FILE_HELP } from './arguments.ts';
import { ExitCode } from './exit-code.ts';
import { MeteredSource, withProgress } from './progress.ts';
import { type InputFile, importText, openInput } from './recording-file.ts';
import { paintData, printLine } from './terminal.ts';

const EXAMPLES = `
Examples:
  gametape verify session.lmsp && echo intact
  gametape verify session.lmsp --json | jq '.problems[]'

Exit code 0: intact (an incomplete recording is intact too, and said to be incomplete); 5: damaged or unfinished.`;

export function addVerify(program: Command): void {
  program
    .command('verify')
    .summary('prove that a recording is what was recorded')
    .description('Re-reads everything: checksums, the chain of blocks, order, every delta and state hash.')
    .argument('<file>', FILE_HELP)
    .option('--json', 'one JSON object on stdout')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, { json }: { json?: true }) => {
      const input = await openInput(path);
      try {
        const report = input.format === 'lmsp' ? await verifyBinary(input) : await verifyText(input);
        if (json) await printLine(JSON.stringify({ ...report, format: input.format }));
        else for (const line of toLines(report)) await printLine(line);
        if (!report.intact) process.exitCode = ExitCode.Damaged;
      } finally {
        input.close();
      }
    });
}

async function verifyBinary({ path, name }: InputFile): Promise<VerifyReport> {
  const source = await FileSource.open(path);
  try {
    return { ...(await verifyShown(source)), file: name };
  } finally {
    await source.close();
  }
}

/** A text has no checksums of its own: every event of it is validated (L4), and the recording it makes is verified. */
async function verifyText(input: InputFile): Promise<VerifyReport> {
  const sink = new BytesSink();
  try {
    const losses = await importText(input, sink);
    const report = await verifyShown(new BytesSource(sink.bytes(), input.name));
    const problems = losses.map((message) => ({ code: 'DAMAGED' as const, where: 'end', message }));
    const isIntact = report.intact && problems.length === 0;
    return { ...report, bytes: input.bytes, intact: isIntact, problems: [...problems, ...report.problems] };
  } catch (error) {
    if (!isGametapeError(error)) throw error;
    const prefix = `${input.name}: `;
    const message = error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message;
    return {
      ...UNREADABLE,
      file: input.name,
      bytes: input.bytes,
      problems: [{ code: error.code, where: 'file', message }],
    };
  }
}

async function verifyShown(source: ByteSource): Promise<VerifyReport> {
  return withProgress('Verifying', await source.size(), (advance) =>
    verifyRecording(new MeteredSource(source, { onRead: advance })),
  );
}

const UNREADABLE: VerifyReport = {
  file: '',
  recordingId: null,
  room: null,
  intact: false,
  finished: false,
  complete: false,
  bytes: 0,
  blocks: 0,
  entries: 0,
  events: 0,
  checkpoints: 0,
  statesChecked: 0,
  problems: [],
  moreProblems: 0,
};

function* toLines(report: VerifyReport): Generator<string> {
  const { file, problems, moreProblems } = report;
  for (const { where, message } of problems) yield `${paintData('red', 'wrong')}  ${where}: ${message}`;
  if (moreProblems > 0) yield `       and ${moreProblems} more`;
  const checked = `${report.events} events in ${report.blocks} blocks, ${report.checkpoints} checkpoints, ${report.statesChecked} states compared`;
  yield `${file}: ${verdict(report)}; ${checked}`;
}

function verdict({ intact, finished, complete }: VerifyReport): string {
  if (intact && complete) return paintData('green', 'intact and complete');
  if (intact)
    return `${paintData('green', 'intact')}, but ${paintData('yellow', 'incomplete')}: events never arrived, see \`info\``;
  return paintData('red', finished ? 'damaged' : 'damaged or unfinished');
}
