import { type Live, type LiveCheckpoint, type LiveEvent, type SpectateFrom, spectate } from '@gametape/client-sdk';
import { EventType, isGametapeError } from '@gametape/shared';
import type { Command } from 'commander';
import { parsePositive, parseRate, parseSpectateFrom } from './arguments.ts';
import { type EventLine, eventText } from './event-line.ts';
import { ExitCode } from './exit-code.ts';
import { interruptedExitCode, interruption, orAborted } from './interruption.ts';
import { isWatchable, PlayheadTerminal } from './playhead-terminal.ts';
import { plainLines } from './table.ts';
import { paint, printLine, say } from './terminal.ts';

const EXAMPLES = `
Examples:
  gametape tail demo --url ws://127.0.0.1:7600
  gametape tail demo --url ws://127.0.0.1:7600 --from start --speed 8
  gametape tail demo --url ws://127.0.0.1:7600 --json | jq 'select(.event.type == "test_fail")'

Keys: as of gametape play; g goes to what happens now. Where stdout is no terminal, it prints one event a line as it
happens, and ends when the room does. An event that came after its time had been shown is marked late.`;

interface TailOptions {
  readonly url: string;
  readonly from: SpectateFrom;
  readonly speed: number;
  readonly player?: string;
  readonly maxGap?: number;
  readonly token?: string;
  readonly json?: true;
}

export function addTail(program: Command): void {
  program
    .command('tail')
    .summary('watch a live room in the terminal')
    .description('Watches a live room in the terminal: now, or from any time before.')
    .argument('<room>', 'name of the room')
    .requiredOption('--url <ws>', 'address of the relay, such as ws://127.0.0.1:7600')
    .option('--from <place>', '"live", "start", seconds of play time, or @checkpoint', parseSpectateFrom, 'live')
    .option('--speed <factor>', 'from 0.1 to 16, while it is behind', parseRate, 1)
    .option('--player <id>', 'whose code is shown first; without a terminal, only the events of this player')
    .option('--max-gap <seconds>', 'while it is behind, skip time in which nothing happens for so long', parsePositive)
    .option('--token <jwt>', 'for relays that ask for one')
    .option('--json', 'one event a line, as JSON')
    .addHelpText('after', EXAMPLES)
    .action(tail);
}

async function tail(room: string, options: TailOptions): Promise<void> {
  const { url, from, speed, maxGap, token } = options;
  const isScreen = !options.json && isWatchable();
  const signal = isScreen ? undefined : interruption();
  const joining = spectate({ url, room, from, ...(token !== undefined && { token }) });
  const live = await (signal ? orAborted(joining, signal) : joining);
  live.playbackRate = speed;
  if (maxGap !== undefined) live.maxGap = maxGap;
  try {
    if (isScreen) await watch(live, options);
    else await follow(live, options, signal as AbortSignal);
  } finally {
    live.close();
  }
}

/** Prints what happens until the room has ended, and all of it is printed. */
async function follow(live: Live, { player, json }: TailOptions, signal: AbortSignal): Promise<void> {
  let width = Math.max(0, ...[...live.players.keys()].map((id) => id.length));
  let printing: Promise<unknown> = Promise.resolve();
  const ended = new Promise<void>((resolve, reject) => {
    live.on('event', (event) => {
      if (player !== undefined && event.player !== player) return;
      width = Math.max(width, event.player.length);
      const line = lineOf(event);
      printing = printing.then(() => printLine(json ? JSON.stringify(line) : eventText(line, width)));
    });
    live.on('status', (status) => {
      if (status === 'reconnecting') say('The connection is lost; trying again.');
    });
    live.on('ended', () => resolve());
    live.on('error', (error) => {
      // Its end is told by `ended`, once all before it has been shown.
      if (isGametapeError(error, 'ROOM_ENDED')) return;
      // Whether it plays on all the same is known once everybody has been told.
      queueMicrotask(() => {
        if (live.status === 'closed' || live.paused) reject(error);
        else say(`${paint('yellow', 'warning')}: ${plainLines(error.message)}`);
      });
    });
  });
  const stopped = new Promise<'stopped'>((resolve) => {
    signal.addEventListener('abort', () => resolve('stopped'), { once: true });
    if (signal.aborted) resolve('stopped');
  });
  const outcome = await Promise.race([ended, stopped]);
  await printing;
  if (outcome === 'stopped') process.exitCode = interruptedExitCode();
}

function lineOf({ seq, time, late, type, player, data }: LiveEvent): EventLine {
  return { seq, timestamp: time, ...(late && { late }), event: { type, player_id: player, data } };
}

async function watch(live: Live, { player }: TailOptions): Promise<void> {
  let checkpoints: readonly LiveCheckpoint[] = [];
  const readCheckpoints = async () => {
    // Without them there are no marks, and all else works.
    checkpoints = await live.checkpoints().catch(() => checkpoints);
  };
  let isOver = false;
  const terminal = new PlayheadTerminal({
    title: `${live.room} · ${live.recordingId}`,
    playhead: live,
    player,
    isRoom: () => !isOver,
    players: () => [...live.players.keys()],
    checkpoints: () => checkpoints,
    note: () => noteOf(live),
  });
  live.on('event', ({ type }) => {
    if (type === EventType.CHECKPOINT) void readCheckpoints();
  });
  live.on('end', () => {
    isOver = true;
  });
  live.on('error', (error) => {
    if (live.status === 'closed') terminal.fail(error);
  });
  void readCheckpoints();
  if ((await terminal.run()) === 'interrupted') process.exitCode = ExitCode.Interrupted;
}

function noteOf({ status, delay, ended }: Live): string {
  if (status === 'ended') return ended ? 'the room has ended' : 'the room has ended: this is its recording';
  const late = delay > 0 ? `shown ${Math.round(delay)} s late` : '';
  return status === 'live' ? late : status;
}
