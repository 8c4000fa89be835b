import type { Command } from 'commander';
import { type CutPoint, cutRecording } from '../recording/cut-recording.ts';
import { FILE_HELP, parseCutPoint } from './arguments.ts';
import { type MadeOptions, writeMadeRecording } from './made-recording.ts';
import { openRecordingFile } from './recording-file.ts';

const HELP = `
The part is a recording of its own: play time starts at 0, so that what happened at T is now at T minus --from. What
happened exactly at --from is in it, what happened exactly at --to is not; a checkpoint stands for its time. Players
start with the state they had. \`gametape merge\` puts parts of one recording back together.

Examples:
  gametape cut session.lmsp -o part.lmsp --from 60 --to 90
  gametape cut session.lmsp -o end.lmsp --from @before_implementation
  gametape cut session.lmsp -o - --from @start --to @done | gametape cat -

Exit code 3: cut, but something of the input was lost.`;

interface CutVerbOptions extends MadeOptions {
  readonly from?: CutPoint;
  readonly to?: CutPoint;
}

export function addCut(program: Command): void {
  program
    .command('cut')
    .summary('a part of a recording, as a recording')
    .description('Writes what happened from one time or checkpoint up to another as a recording of its own.')
    .argument('<file>', FILE_HELP)
    .requiredOption('-o, --output <file>', 'the .lmsp file to write; "-" is standard output')
    .option('--from <seconds|@checkpoint>', 'where it begins; the start if left out', parseCutPoint)
    .option('--to <seconds|@checkpoint>', 'where it ends; the end if left out', parseCutPoint)
    .option('--overwrite', 'replace the output if it is there')
    .option('--json', 'say what was written as one JSON object')
    .addHelpText('after', HELP)
    .action(async (path: string, options: CutVerbOptions) => {
      const { from, to } = options;
      const file = await openRecordingFile(path);
      try {
        await writeMadeRecording(options, async (sink, recordingId) => {
          const { fromS, toS, summary, checkpoints } = await cutRecording(file.reader, sink, { recordingId, from, to });
          const text = `${summary.events} events from ${fromS} s to ${toS} s of ${file.name}`;
          return { summary, text, fields: { from: fromS, to: toS, checkpoints }, losses: file.losses };
        });
      } finally {
        await file.close();
      }
    });
}
