import { GametapeError } from '@gametape/shared';
import { lmspEvents } from '@gametape/shared/lmsp';
import type { Command } from 'commander';
import { FILE_HELP, parseSeconds } from './arguments.ts';
import { type EventLine, eventText } from './event-line.ts';
import { openRecordingFile, type RecordingFile, sayOrder } from './recording-file.ts';
import { print } from './terminal.ts';

const EXAMPLES = `
Examples:
  gametape cat session.lmsp
  gametape cat session.lmsp --player ann --type test_fail
  gametape cat session.lmsp --from 60 --to 90 --json --state | jq .game_state.current_code`;

/** Lines are written this many characters at a time. */
const CHUNK_LENGTH = 64 * 1024;

interface CatOptions {
  readonly json?: true;
  readonly state?: true;
  readonly player?: string;
  readonly type?: string;
  readonly from?: number;
  readonly to?: number;
}

export function addCat(program: Command): void {
  program
    .command('cat')
    .summary('the events of a recording, one a line')
    .description('Prints the events of a recording in the order of its timeline, one a line.')
    .argument('<file>', FILE_HELP)
    .option('--json', 'one JSON object a line')
    .option('--player <id>', 'only what this player did')
    .option('--type <type>', 'only events of this type, such as keystroke')
    .option('--from <seconds>', 'only from this play time on', parseSeconds)
    .option('--to <seconds>', 'only before this play time', parseSeconds)
    .option('--state', "with the player's whole state after each event")
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, options: CatOptions) => {
      const file = await openRecordingFile(path);
      sayOrder(file);
      try {
        await printEvents(file, options);
      } finally {
        await file.close();
      }
    });
}

/** Every event that is asked for, one a line. @throws GametapeError `NOT_FOUND` for a player that is not in it */
export async function printEvents(file: RecordingFile, options: CatOptions): Promise<void> {
  const players = new Set([...file.reader.producers.values()].map(({ player }) => player));
  if (options.player !== undefined && !players.has(options.player)) {
    const names = [...players].join(', ') || 'none';
    throw new GametapeError(
      'NOT_FOUND',
      `${file.name}: there is no player ${options.player}; its players are ${names}`,
    );
  }
  const width = Math.max(0, ...[...players].map((player) => player.length));
  const events = options.state ? eventsWithStates(file, options) : eventsAlone(file, options);
  let chunk = '';
  for await (const event of events) {
    chunk += `${options.json ? JSON.stringify(event) : eventText(event, width)}\n`;
    if (chunk.length < CHUNK_LENGTH) continue;
    await print(chunk);
    chunk = '';
  }
  if (chunk !== '') await print(chunk);
}

/** Starts at the block that `from` lies in, and makes no states. */
async function* eventsAlone(file: RecordingFile, { from, to, player, type }: CatOptions): AsyncGenerator<EventLine> {
  const tape = await file.tape();
  const filter = {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(player !== undefined && { player }),
    ...(type !== undefined && { type }),
  };
  try {
    for await (const { index, seq, time, player: id, type: eventType, data } of tape.events(filter)) {
      yield { index, seq, timestamp: time, event: { type: eventType, player_id: id, data } };
    }
  } finally {
    await tape.close();
  }
}

async function* eventsWithStates(file: RecordingFile, options: CatOptions): AsyncGenerator<EventLine> {
  const { from = 0, to = Number.POSITIVE_INFINITY, player, type } = options;
  for await (const { index, seq, timestamp, event, game_state } of lmspEvents(file.reader)) {
    if (timestamp >= to) return;
    if (timestamp < from || (player ?? event.player_id) !== event.player_id || (type ?? event.type) !== event.type)
      continue;
    yield { index, seq, timestamp, event, game_state };
  }
}
