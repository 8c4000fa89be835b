import type { ClockSummary, Json } from '@gametape/shared';
import type { Command } from 'commander';
import { PICKLE_VERSION } from '../pickle/pickle-version.ts';
import { type RecordingInfo, recordingInfo } from '../recording/recording-info.ts';
import { FILE_HELP } from './arguments.ts';
import { countThrough } from './count-through.ts';
import { openRecordingFile, type RecordingFile } from './recording-file.ts';
import { plainText } from './table.ts';
import { paintData, printLine, say } from './terminal.ts';

const EXAMPLES = `
Examples:
  gametape info session.lmsp
  gametape info session.lmsp.gz --json
  gametape info http://127.0.0.1:7600/v1/recordings/ID.lmsp
  zstd -dc session.lmsp.zst | gametape info -`;

export function addInfo(program: Command): void {
  program
    .command('info')
    .summary('what a recording holds, from its index alone')
    .description('Says what a recording holds: players, checkpoints, length, and whether it is complete.')
    .argument('<file>', FILE_HELP)
    .option('--json', 'one JSON object on stdout')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, { json }: { json?: true }) => {
      const file = await openRecordingFile(path);
      try {
        const info = await describeFile(file);
        if (json) await printLine(JSON.stringify(info));
        else for (const line of toLines(info)) await printLine(line);
        for (const loss of file.losses) say(loss);
      } finally {
        await file.close();
      }
    });
}

/** One without an index is counted through. */
async function describeFile({ format, bytes, reader }: RecordingFile): Promise<RecordingInfo> {
  const isCanonical = format === 'json' || format === 'lmsp.gz';
  const info = recordingInfo(reader);
  const own = isCanonical ? textOf(reader.meta.lmsp?.version) : info.version;
  const version = format === 'pickle' ? PICKLE_VERSION : own;
  const counts = info.finished ? undefined : await countThrough(reader);
  return { ...info, ...counts, format, version, bytes };
}

function* toLines(info: RecordingInfo): Generator<string> {
  yield `${paintData('bold', info.recordingId)}  room ${plainText(info.room, 64)}, ${info.format} version ${info.version}`;
  yield `created     ${info.createdAt}`;
  yield `length      ${formatSeconds(info.durationS)}`;
  yield `events      ${info.events} in ${info.blocks} blocks, ${info.bytes} bytes`;
  yield `complete    ${completeness(info)}`;
  yield 'players';
  for (const { id, events, expected, received, gaps, clock } of info.players) {
    const missing = gaps.map(([first, last]) => `${first}-${last}`).join(', ');
    yield `  ${plainText(id, 64)}  ${events} events, ${received} of ${expected ?? 'an unknown number'} received${missing && `, missing ${missing}`}`;
    if (clock) yield `    times ${exactness(clock)}`;
  }
  if (info.checkpoints.length > 0) yield 'checkpoints';
  for (const { name, timeS, eventIndex } of info.checkpoints) {
    // Until a recording is finished no checkpoint knows how many events come before it.
    yield `  ${formatSeconds(timeS)}  ${plainText(name, 256)}${info.finished ? ` (event ${eventIndex})` : ''}`;
  }
}

/** How exact a player's times are, and how often its clocks were not believed. */
function exactness({ errorUs, worstErrorUs, unknown, ...counts }: ClockSummary): string {
  const worst = worstErrorUs > errorUs ? ` (at worst ±${inMs(worstErrorUs)})` : '';
  const rough = unknown > 0 ? `, ${unknown} as they arrived` : '';
  const told = Object.entries(counts).filter(([, count]) => count > 0);
  return `±${inMs(errorUs)}${worst}${rough}${told.map(([what, count]) => `, ${count} ${COUNTED[what] ?? what}`).join('')}`;
}

const COUNTED: Readonly<Record<string, string>> = {
  ahead: 'held back to their arrival',
  early: 'moved behind their cause',
  backwards: 'that went back',
  alarms: 'jumps of the clock',
};

function inMs(us: number): string {
  return `${(us / 1_000).toFixed(1)} ms`;
}

function completeness({ complete, finished }: RecordingInfo): string {
  if (complete) return paintData('green', 'yes');
  return paintData('yellow', finished ? 'no: events are missing' : 'no: the recording was never finished');
}

function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

function formatSeconds(seconds: number): string {
  return `${seconds.toFixed(3)} s`;
}
