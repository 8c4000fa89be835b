import type { Command } from 'commander';
import { DEFAULT_IDLE_S, type RecordingStats, recordingStats } from '../recording/recording-stats.ts';
import { FILE_HELP, parseSeconds } from './arguments.ts';
import { UsageError } from './failure.ts';
import { openRecordingFile } from './recording-file.ts';
import { statsLines } from './stats-text.ts';
import { printLine, say } from './terminal.ts';

const EXAMPLES = `
Examples:
  gametape stats session.lmsp
  gametape stats session.lmsp --player ann --from 60 --to 120
  gametape stats session.lmsp --json | jq '.players[] | {id, wpm: .typing.wordsPerMinute}'
  gametape stats session.lmsp --json | jq -r '.tests.points[] | [.timeS, .player, .passing, .total] | @csv'

How it is counted:
  active      time between two events of a player that are at most --idle seconds apart; longer gaps are idle as a whole
  characters  code points of keystrokes; more than 16 at once are pasted; Backspace and Delete are deletions; arrows,
              modifiers and shortcuts count as other keys
  words       five characters each; rates are per minute of active time
  intervals   between keystrokes at most --idle apart; median and 90th percentile are at most 0.6 % off
  burst       at least 5 keystrokes, each within a second of the one before
  tests       the state's tests_passing and tests_total, else those of test_pass and test_fail
  bytes       of the whole file over all its events; not told when only a part was asked for

--json prints one object; times are seconds of play time:
  {file, format, bytes, bytesPerEvent, recordingId, room, profile, createdAt, durationS, finished, complete,
   asked: {from, to, player}, idleGapS, events, stateChanges, types: {TYPE: COUNT},
   players: [{id, events, stateChanges, types, firstS, lastS, activeS, idleS, messages, pauses,
     activity: {fromS, bucketS, events: [COUNT, at most 60]},
     typing?: {keystrokes, characters, pasted, deletions, otherKeys, deletionsPerKeystroke, charactersPerMinute,
       wordsPerMinute, intervals: {medianS, p90S}, bursts: {count, keystrokesEach, longestKeystrokes, longestS}},
     tests?: {runs, passes, fails, passing, total, best}}],
   tests: {thinned, points: [{timeS, player, passing, total}]},         at most 257 points a player
   checkpoints: [{name, timeS, eventIndex}], pauses: {count, totalS},
   size: {bytes, bytesPerEvent, blocks, blockBytes, indexBytes, rawBytes, rawKeyframeBytes, compressionRatio} as .lmsp}`;

interface StatsVerbOptions {
  readonly json?: true;
  readonly player?: string;
  readonly from?: number;
  readonly to?: number;
  readonly idle: number;
}

/** What `--json` prints: the counts, and the file they are of. */
export interface FileStats extends RecordingStats {
  readonly file: string;
  readonly format: string;
  readonly bytes: number;
  /** Of the file as it is; null when only a part was asked for, or there is no event. */
  readonly bytesPerEvent: number | null;
}

export function addStats(program: Command): void {
  program
    .command('stats')
    .summary('counts and curves: typing, tests, events, bytes')
    .description('Counts what happened in a recording: events, typing, tests, pauses, and what it costs in bytes.')
    .argument('<file>', FILE_HELP)
    .option('--json', 'one JSON object on stdout')
    .option('--player <id>', 'only what this player did')
    .option('--from <seconds>', 'only from this play time on', parseSeconds)
    .option('--to <seconds>', 'only before this play time', parseSeconds)
    .option('--idle <seconds>', 'longer gaps between events are idle time', parseSeconds, DEFAULT_IDLE_S)
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, { json, idle, ...part }: StatsVerbOptions) => {
      if (part.from !== undefined && part.to !== undefined && part.to <= part.from) {
        throw new UsageError(
          `--to ${part.to} is not after --from ${part.from}`,
          'Give a time span, such as --from 60 --to 90.',
        );
      }
      const file = await openRecordingFile(path);
      try {
        const counted = await recordingStats(file.reader, { ...part, idleS: idle });
        const bytesPerEvent = counted.size && counted.events > 0 ? file.bytes / counted.events : null;
        const stats = { file: file.name, format: file.format, bytes: file.bytes, bytesPerEvent, ...counted };
        if (json) await printLine(JSON.stringify(stats));
        else for (const line of statsLines(stats)) await printLine(line);
        for (const loss of file.losses) say(loss);
      } finally {
        await file.close();
      }
    });
}
