import { type Command, InvalidArgumentError } from 'commander';
import { diffRecordings } from '../recording/recording-diff.ts';
import { recordingInfo } from '../recording/recording-info.ts';
import { FILE_HELP, parseCount } from './arguments.ts';
import { type DiffedFile, diffLines } from './diff-text.ts';
import { ExitCode } from './exit-code.ts';
import { UsageError } from './failure.ts';
import { openRecordingFile, type RecordingFile } from './recording-file.ts';
import { printLine, say } from './terminal.ts';

const DEFAULT_LIMIT = 20;

const EXAMPLES = `
Examples:
  gametape diff session.lmsp session.lmsp.gz && echo the same
  gametape diff monday.lmsp tuesday.lmsp --times ignore
  gametape diff a.lmsp b.lmsp --times 0.05 --ignore session_duration --limit 100
  gametape diff a.lmsp b.lmsp --json | jq '.differences[] | select(.kind == "state")'

What is compared:
  header      room, profile, players, completeness, length, names of checkpoints, and how it ended. Ids, the time of
              creation and the format are not compared, so that a recording equals what it was converted to.
  events      per player in order: type, data, play time. Where they part, the cheapest alignment of up to 256 events of
              each is taken: an inserted or missing event does not make those after it differ. Longer stretches that only
              one has are passed by their times, so --times ignore may lose its way after more than 256 of them.
  states      of the player after each event that both have, and in the end. A difference is told where it begins, with
              where it ends; --times holds for clock keys such as session_duration too.
  order       of events of different players: counted, and a difference only with --order.

Exit code 0: equal; 5: different, or one of them is damaged.

--json prints one object; a and b in differences are JSON text, cut around the first difference, or null for nothing:
  {equal, a: {file, format, recordingId, room, events, finished, complete}, b: {...},
   events: {a, b, equal, changed, retimed, removed, added, order}, states: {compared, different}, differenceCount,
   differences: [at most --limit of
     {kind: "header", key, a, b, at?}
     {kind: "removed" | "added", player, event: {index, timeS, type, data}, events, untilS}     only in a | only in b
     {kind: "changed", player, a: {index, timeS, type}, b, fields: [{key, a, b, at?}]}
     {kind: "time", player, a: {index, timeS, type}, b, events, minS, maxS}                     b later by min to max
     {kind: "state", player, a: {index, timeS, type}, b, keys: [{key, a, b, at?}], until: {index, timeS, type} | null}
     {kind: "final", player, keys: [{key, a, b, at?}]}
     {kind: "order", events}]}`;

interface DiffVerbOptions {
  readonly json?: true;
  /** Tolerance in seconds. */
  readonly times: number;
  readonly ignore: readonly string[];
  readonly limit: number;
  readonly order?: true;
}

export function addDiff(program: Command): void {
  program
    .command('diff')
    .summary('two recordings event by event and state by state')
    .description('Compares two recordings of any format, event by event and state by state.')
    .argument('<a>', FILE_HELP)
    .argument('<b>', 'the other')
    .option('--times <how>', 'exact, ignore, or how many seconds they may differ', parseTimes, 0)
    .option(
      '--ignore <key>',
      'a state key, field of data or header fact not to compare; may be given again',
      collect,
      [],
    )
    .option('--limit <count>', 'differences to list; the rest is counted', parseCount, DEFAULT_LIMIT)
    .option('--order', 'compare the order of events of different players too')
    .option('--json', 'one JSON object on stdout')
    .addHelpText('after', EXAMPLES)
    .action(async (pathA: string, pathB: string, options: DiffVerbOptions) => {
      if (pathA === '-' && pathB === '-')
        throw new UsageError('only one of the two can be standard input', 'Name a file for the other.');
      const a = await openRecordingFile(pathA);
      try {
        const b = await openRecordingFile(pathB);
        try {
          await printDiff(a, b, options);
        } finally {
          await b.close();
        }
      } finally {
        await a.close();
      }
    });
}

async function printDiff(a: RecordingFile, b: RecordingFile, options: DiffVerbOptions): Promise<void> {
  const { times, ignore, limit, order = false, json } = options;
  const diff = await diffRecordings(a.reader, b.reader, { toleranceS: times, ignore, limit, order });
  const { equal, ...rest } = diff;
  const described = { equal, a: describe(a, diff.events.a), b: describe(b, diff.events.b), ...rest };
  if (json) await printLine(JSON.stringify(described));
  else for (const line of diffLines(described)) await printLine(line);
  for (const loss of [...a.losses, ...b.losses]) say(loss);
  if (!equal) process.exitCode = ExitCode.Damaged;
}

function describe({ name, format, reader }: RecordingFile, events: number): DiffedFile {
  const { recordingId, room, finished, complete } = recordingInfo(reader);
  return { file: name, format, recordingId, room, events, finished, complete };
}

function parseTimes(text: string): number {
  if (text === 'exact') return 0;
  if (text === 'ignore') return Number.POSITIVE_INFINITY;
  const seconds = Number(text);
  if (text.trim() === '' || !Number.isFinite(seconds) || seconds < 0)
    throw new InvalidArgumentError('Expected "exact", "ignore" or seconds from 0, such as 0.05.');
  return seconds;
}

function collect(key: string, keys: readonly string[]): readonly string[] {
  return [...keys, key];
}
