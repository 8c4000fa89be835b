import { type Command, Option } from 'commander';
import type { MergeAlign } from '../recording/merge-plan.ts';
import { mergeRecordings } from '../recording/merge-recordings.ts';
import { FILE_HELP } from './arguments.ts';
import { type MadeOptions, writeMadeRecording } from './made-recording.ts';
import { openRecordingFile, type RecordingFile } from './recording-file.ts';

const HELP = `
Parts of one recording (made by \`gametape cut\`, copies, what was recovered of them) go back to where they were. What
several of them have is there once; if they differ in it, nothing is written (exit code 5). Players go on from part to part;
what no part has is stated as a gap (exit code 3).

Other recordings of the room come where the clock said they were made (--align created), or all begin together (--align
start). Their players stay players of their own: one that is in two of them has the state of whichever came last.

The order of the files does not matter.

Examples:
  gametape merge first.lmsp second.lmsp -o session.lmsp
  gametape merge monday.lmsp tuesday.lmsp -o week.lmsp
  gametape merge ann.lmsp bob.lmsp -o both.lmsp --room duel --align start`;

interface MergeVerbOptions extends MadeOptions {
  readonly room?: string;
  readonly align: MergeAlign;
}

export function addMerge(program: Command): void {
  program
    .command('merge')
    .summary('recordings of one room, as one recording')
    .description('Writes recordings of one room as one, in the order of one timeline.')
    .argument('<files...>', FILE_HELP)
    .requiredOption('-o, --output <file>', 'the .lmsp file to write; "-" is standard output')
    .option('--room <name>', 'what the room is called, where they are of different ones')
    .addOption(
      new Option('--align <how>', 'where recordings come that are no parts of one')
        .choices(['created', 'start'])
        .default('created'),
    )
    .option('--overwrite', 'replace the output if it is there')
    .option('--json', 'say what was written as one JSON object')
    .addHelpText('after', HELP)
    .action(async (paths: readonly string[], options: MergeVerbOptions) => {
      const files: RecordingFile[] = [];
      try {
        for (const path of paths) files.push(await openRecordingFile(path));
        await writeMadeRecording(options, async (sink, recordingId) => {
          const { room, align } = options;
          const readers = files.map(({ reader }) => reader);
          const merged = await mergeRecordings(readers, sink, { recordingId, room, align });
          const { summary, offsetsS, repeated, losses } = merged;
          const parts = files.map(({ name }, at) => `${name} from ${offsetsS[at]} s on`).join(', ');
          return {
            summary,
            text: `${summary.events} events of ${parts}; ${repeated} were there more than once`,
            fields: { inputs: files.map(({ name }, at) => ({ file: name, from: offsetsS[at] })), repeated },
            losses: [...files.flatMap((file) => file.losses), ...losses],
          };
        });
      } finally {
        for (const file of files) await file.close();
      }
    });
}
