import { resolve } from 'node:path';
import { type ByteSink, GametapeError, type ProfileName } from '@gametape/shared';
import { type Command, Option } from 'commander';
import { FileSource } from '../file-source.ts';
import type { Loss } from '../recording/losses.ts';
import { type RecoverOptions, recoverRecording } from '../recording/recover-recording.ts';
import { hasLosses, type RecoverReport } from '../recording/recover-report.ts';
import { ExitCode } from './exit-code.ts';
import { STDOUT } from './made-recording.ts';
import { writeOutput } from './output-file.ts';
import { MeteredSource } from './progress.ts';
import { openBytes } from './recording-file.ts';
import { paint, printLine, say } from './terminal.ts';

const HELP = `
Examples:
  gametape recover broken.lmsp -o session.lmsp
  gametape recover broken.lmsp -o session.lmsp --json | jq '.lost[]'
  gametape recover https://example.org/broken.lmsp -o session.lmsp

Every block that is intact goes into a new, finished recording of the same id; a damaged one is left out whole. What is lost
is stated in the new file too: \`gametape info\` shows the gaps, and it is not complete.

--json prints one object:
  input, output, recordingId, room, profile, metaFrom ("index", "block", "replay" or "options": where room and profile are from)
  finished            the damaged file had its index: whether all is there is known
  complete            every event that any player recorded is in the new file
  blocks              {kept, damaged, repeated}
  entries, events     in the new file
  bytes, bytesSetAside, setAside: [{fromByte, toByte, reason}]    of the damaged file
  lost: [{fromByte, toByte, reason, seqFrom, seqTo, timeFromS, timeToS, events, players: [{id, pseqFrom, pseqTo}]}]
                      ranges that what is lost lies in; null where nothing says how far
  players, checkpointsDropped: [{name, reason}], foreign: [{recordingId, blocks, bytes}], warnings

Exit code 0: nothing is known to be lost (with "finished": false, a recording that was never finished, up to its last block);
3: recovered, with losses; 5: nothing can be recovered, and nothing is written.`;

interface RecoverFlags {
  readonly output: string;
  readonly overwrite?: true;
  readonly json?: true;
  readonly recording?: string;
  readonly profile?: ProfileName;
  readonly room?: string;
}

export function addRecover(program: Command): void {
  program
    .command('recover')
    .summary('what is intact of a damaged recording')
    .description('Writes every intact block of a damaged or unfinished recording as a new one, and says what is lost.')
    .argument('<file>', 'path or URL of a damaged or unfinished .lmsp; "-" is standard input')
    .requiredOption('-o, --output <file>', 'the .lmsp file to write; "-" is standard output')
    .option('--overwrite', 'replace the output if it is there')
    .option('--recording <id>', 'which recording, if the file holds blocks of several; the longest if left out')
    .addOption(new Option('--profile <name>', 'the profile, where no block says it any more').choices(['lmsp', 'json']))
    .option('--room <name>', 'the room, where no block says it any more')
    .option('--json', 'the report as one JSON object on stdout')
    .addHelpText('after', HELP)
    .action(async (input: string, { output, overwrite, json, ...flags }: RecoverFlags) => {
      const report = await recoverFile(input, output, overwrite === true, flags);
      if (json && output !== '-') await printLine(JSON.stringify({ input, output, ...report }));
      else for (const line of toLines(report, output === '-' ? '<stdout>' : output)) say(line);
      if (hasLosses(report)) process.exitCode = ExitCode.Losses;
    });
}

async function recoverFile(
  input: string,
  output: string,
  overwrite: boolean,
  { recording, profile, room }: Pick<RecoverFlags, 'recording' | 'profile' | 'room'>,
): Promise<RecoverReport> {
  const isStdout = output === '-';
  if (!isStdout && resolve(input) === resolve(output)) {
    const hint = 'Choose another name: what is left out of the new file is in the old one alone.';
    throw new GametapeError('FILE_EXISTS', `${output}: expected another file than the one that is read`, { hint });
  }
  const options: RecoverOptions = {
    ...(recording !== undefined && { recordingId: recording }),
    ...(profile !== undefined && { profile }),
    ...(room !== undefined && { room }),
  };
  const { name, path, close } = await openBytes(input);
  try {
    const file = await FileSource.open(path);
    try {
      const source = new MeteredSource(file, { name });
      const recover = (sink: ByteSink) => recoverRecording(source, sink, options);
      return await (isStdout ? recover(STDOUT) : writeOutput(output, { overwrite }, recover));
    } finally {
      await file.close();
    }
  } finally {
    close();
  }
}

function* toLines(report: RecoverReport, output: string): Generator<string> {
  const { blocks, lost, setAside, checkpointsDropped, foreign, warnings, finished } = report;
  for (const { fromByte, toByte, reason } of setAside) {
    yield `${paint('yellow', 'set aside')}  bytes ${fromByte} to ${toByte}: ${reason}`;
  }
  for (const { recordingId, blocks: count } of foreign) {
    yield `${paint('yellow', 'set aside')}  ${count} blocks of recording ${recordingId}: add --recording ${recordingId} for those`;
  }
  for (const loss of lost) yield `${paint('red', 'lost')}       ${describe(loss)}`;
  for (const { name, reason } of checkpointsDropped)
    yield `${paint('red', 'lost')}       checkpoint ${name}: ${reason}`;
  for (const warning of warnings) yield `${paint('red', 'wrong')}      ${warning}`;
  if (!finished) yield 'The index is missing: whether more came after the last block is not known.';
  const known = hasLosses(report) ? '' : ', nothing is known to be lost';
  yield `${output}: ${report.events} events in ${blocks.kept} intact blocks, ${report.bytesSetAside} of ${report.bytes} bytes set aside${known}`;
}

function describe({ fromByte, toByte, reason, seqFrom, seqTo, timeFromS, timeToS, events, players }: Loss): string {
  const seqs = range('events', seqFrom, seqTo, String);
  const times = range('seconds', timeFromS, timeToS, (time) => time.toFixed(3));
  const count = events === null ? '' : `, ${events} events`;
  const numbers = players.map(({ id, pseqFrom, pseqTo }) => `${id} ${pseqFrom}-${pseqTo ?? ''}`).join(', ');
  return `bytes ${fromByte} to ${toByte} (${reason})${seqs}${times}${count}${numbers && `; ${numbers}`}`;
}

function range(what: string, from: number | null, to: number | null, show: (end: number) => string): string {
  if (from === null && to === null) return '';
  return `, ${what} ${from === null ? 'from the start' : show(from)} to ${to === null ? 'an unknown end' : show(to)}`;
}
