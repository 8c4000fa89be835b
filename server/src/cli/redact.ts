import type { RecordingReader } from '@gametape/shared';
import type { Command } from 'commander';
import { type RedactOptions, redactRecording } from '../redaction/redact-recording.ts';
import { FILE_HELP } from './arguments.ts';
import { UsageError } from './failure.ts';
import { type MadeOptions, writeMadeRecording } from './made-recording.ts';
import { openRecordingFile } from './recording-file.ts';

const HELP = `
--player alone takes out both the player's name and all that the player has written. Names are replaced wherever they
stand; inside of other text they are blotted out, unless they are shorter than 3 characters. What is blotted out keeps
its length and its white space, so that every position in the recording stays true; numbers, event types and the words of
the game itself stay. What --match finds goes wherever it is, whoever wrote it, also if it was typed letter by letter or
came about by taking out what was in between. What others have written about a player stays: use --match for that.

The result is a recording of its own, verifies, and says what kind of thing was removed, never what it was.

Examples:
  gametape redact session.lmsp -o shared.lmsp --player ann
  gametape redact session.lmsp -o shared.lmsp --player ann --name player-1
  gametape redact session.lmsp -o shared.lmsp --match hunter2 --match 'Ann Smith' --ignore-case
  gametape redact session.lmsp -o shared.lmsp --match-regex '\\d{3}-\\d{4}'

Exit code 3: redacted, but something of the input could not be looked through and was left out, or was lost before.`;

interface RedactVerbOptions extends MadeOptions {
  readonly player?: string;
  readonly name?: string | true;
  readonly text?: true;
  readonly match?: readonly string[];
  readonly matchRegex?: readonly string[];
  readonly ignoreCase?: true;
}

export function addRedact(program: Command): void {
  program
    .command('redact')
    .summary("a recording without a player's name or text")
    .description(
      "Writes a recording again without a player's name, a player's text, or what patterns find in any text.",
    )
    .argument('<file>', FILE_HELP)
    .requiredOption('-o, --output <file>', 'the .lmsp file to write; "-" is standard output')
    .option('--player <id>', 'whose name or text has to go')
    .option('--name [replacement]', "the player's name goes, and this comes in its place")
    .option('--text', 'what the player has written goes')
    .option('--match <text>', 'this text goes, wherever it is; may be given several times', collect)
    .option(
      '--match-regex <expression>',
      'what this regular expression finds goes; may be given several times',
      collect,
    )
    .option('--ignore-case', 'for --match and --match-regex: upper or lower case')
    .option('--overwrite', 'replace the output if it is there')
    .option('--json', 'say what was written as one JSON object')
    .addHelpText('after', HELP)
    .action(async (path: string, options: RedactVerbOptions) => {
      const request = toRequest(options);
      const file = await openRecordingFile(path);
      try {
        await writeMadeRecording(options, async (sink, recordingId) => {
          const name = request.name === true ? freeName(file.reader) : request.name;
          const at = Math.floor(Date.now() / 1_000);
          const all = { ...request, name, recordingId, at };
          const { summary, characters, losses } = await redactRecording(file.reader, sink, all);
          const text = `${summary.events} events, ${characters} typed characters blotted out for what they were part of`;
          return { summary, text, fields: { characters, name: name ?? null }, losses: [...file.losses, ...losses] };
        });
      } finally {
        await file.close();
      }
    });
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

type Request = Omit<RedactOptions, 'recordingId' | 'at' | 'name'> & { readonly name: string | true | undefined };

function toRequest(options: RedactVerbOptions): Request {
  const { player, name, text, match = [], matchRegex = [] } = options;
  const ignoreCase = options.ignoreCase === true;
  if (player === undefined && (name !== undefined || text)) {
    throw new UsageError('--name and --text are about a player', 'Add --player ID.');
  }
  if (player === undefined && match.length + matchRegex.length === 0) {
    throw new UsageError(
      'nothing was said to be redacted',
      'Add --player ID, --match TEXT or --match-regex EXPRESSION.',
    );
  }
  const blank = match.find((literal) => literal.trim() === '');
  if (blank !== undefined) {
    throw new UsageError('--match: expected more than white space', 'White space is kept, so that lines stay lines.');
  }
  const isAll = player !== undefined && name === undefined && !text && match.length + matchRegex.length === 0;
  return {
    player,
    name: name ?? (isAll ? true : undefined),
    text: text === true || isAll,
    patterns: {
      literals: match,
      expressions: matchRegex.map((source) => toExpression(source, ignoreCase)),
      ignoreCase,
    },
  };
}

function toExpression(source: string, ignoreCase: boolean): RegExp {
  try {
    return new RegExp(source, ignoreCase ? 'giu' : 'gu');
  } catch (error) {
    throw new UsageError(
      `--match-regex: ${(error as Error).message}`,
      'Use the syntax of JavaScript, with the flag u.',
    );
  }
}

function freeName({ producers }: RecordingReader): string {
  const taken = new Set([...producers.values()].map(({ player }) => player));
  let number = 1;
  while (taken.has(`redacted-${number}`)) number++;
  return `redacted-${number}`;
}
