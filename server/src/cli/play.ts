import { Replay } from '@gametape/client-sdk';
import { GametapeError } from '@gametape/shared';
import type { Command } from 'commander';
import { FILE_HELP, parseCutPoint, parsePositive, parseRate } from './arguments.ts';
import { printEvents } from './cat.ts';
import { ExitCode } from './exit-code.ts';
import { isWatchable, PlayheadTerminal } from './playhead-terminal.ts';
import { openRecordingFile, type RecordingFile, sayOrder } from './recording-file.ts';

const EXAMPLES = `
Examples:
  gametape play session.lmsp
  gametape play session.lmsp --speed 4 --max-gap 2
  gametape play session.lmsp --from @half --player ann
  gametape play session.lmsp --json | head

Keys: space plays and pauses, the arrows go 5 s, n and p an event, c to the next checkpoint, + and - change the speed,
tab shows the next player, g goes to the end, q quits. Where stdout is no terminal, it prints one event a line.`;

interface PlayOptions {
  readonly speed: number;
  readonly from?: ReturnType<typeof parseCutPoint>;
  readonly player?: string;
  readonly maxGap?: number;
  readonly json?: true;
}

export function addPlay(program: Command): void {
  program
    .command('play')
    .summary('replay a recording in the terminal')
    .description('Plays a recording in the terminal: the code of a player as it is typed.')
    .argument('<file>', FILE_HELP)
    .option('--speed <factor>', 'from 0.1 to 16', parseRate, 1)
    .option('--from <place>', 'seconds of play time, or @checkpoint', parseCutPoint)
    .option('--player <id>', 'whose code is shown first; without a terminal, only the events of this player')
    .option('--max-gap <seconds>', 'skip the rest of any time in which nothing happens for so long', parsePositive)
    .option('--json', 'one event a line, as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, options: PlayOptions) => {
      const file = await openRecordingFile(path);
      sayOrder(file);
      try {
        await play(file, options);
      } finally {
        await file.close();
      }
    });
}

async function play(file: RecordingFile, options: PlayOptions): Promise<void> {
  const { player, json, speed, maxGap } = options;
  const tape = await file.tape();
  try {
    const ids = tape.players.length > 0 ? tape.players.map(({ id }) => id) : namesIn(file);
    if (player !== undefined && !ids.includes(player)) {
      const names = ids.join(', ') || 'none';
      throw new GametapeError('NOT_FOUND', `${file.name}: there is no player ${player}; its players are ${names}`);
    }
    const from = timeOf(options.from, tape.checkpoints, file.name);
    if (json || !isWatchable()) {
      await printEvents(file, {
        ...(json && { json }),
        ...(player !== undefined && { player }),
        ...(from !== undefined && { from }),
      });
      return;
    }
    const replay = new Replay(tape, maxGap === undefined ? {} : { maxGap });
    const terminal = new PlayheadTerminal({
      title: `${file.name} · ${tape.room}`,
      playhead: replay,
      player,
      isRoom: () => false,
      players: () => ids,
      checkpoints: () => tape.checkpoints,
      note: () => (replay.ended ? 'the end' : ''),
    });
    replay.on('error', (error) => terminal.fail(error));
    replay.playbackRate = speed;
    if (from !== undefined) replay.currentTime = from;
    replay.play();
    try {
      if ((await terminal.run()) === 'interrupted') process.exitCode = ExitCode.Interrupted;
    } finally {
      replay.close();
    }
  } finally {
    await tape.close();
  }
}

function namesIn({ reader }: RecordingFile): string[] {
  return [...new Set([...reader.producers.values()].map(({ player }) => player))];
}

/** @throws GametapeError `NOT_FOUND` for a checkpoint that is not there */
function timeOf(
  place: ReturnType<typeof parseCutPoint> | undefined,
  checkpoints: readonly { readonly name: string; readonly time: number }[],
  source: string,
): number | undefined {
  if (place === undefined) return undefined;
  if ('seconds' in place) return place.seconds;
  const found = checkpoints.findLast(({ name }) => name === place.checkpoint);
  if (found) return found.time;
  const names = [...new Set(checkpoints.map(({ name }) => name))].join(', ') || 'none';
  throw new GametapeError('NOT_FOUND', `${source}: there is no checkpoint ${place.checkpoint}; there are ${names}`);
}
