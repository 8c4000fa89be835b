import type { State } from '@gametape/shared';
import type { Command } from 'commander';
import { FILE_HELP, parseSeconds } from './arguments.ts';
import { openRecordingFile, sayOrder } from './recording-file.ts';
import { plainJson, plainLines, plainText } from './table.ts';
import { paintData, printLine } from './terminal.ts';

const EXAMPLES = `
Examples:
  gametape state session.lmsp --at 12.5
  gametape state session.lmsp --at 12.5 --player ann --json | jq -r .current_code`;

interface StateOptions {
  readonly at: number;
  readonly player?: string;
  readonly json?: true;
}

export function addState(program: Command): void {
  program
    .command('state')
    .summary('the state of the players at a time')
    .description('Prints the state of every player, or of one, at a play time. Past the end it is the last.')
    .argument('<file>', FILE_HELP)
    .requiredOption('--at <seconds>', 'play time', parseSeconds)
    .option('--player <id>', 'only the state of this player')
    .option('--json', 'one JSON object: a map from players to states, or the state of the player')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, { at, player, json }: StateOptions) => {
      const file = await openRecordingFile(path);
      sayOrder(file);
      try {
        const tape = await file.tape();
        try {
          if (player === undefined) await printStates(await tape.statesAt(at), json === true);
          else await printState(await tape.stateAt(at, player), json === true);
        } finally {
          await tape.close();
        }
      } finally {
        await file.close();
      }
    });
}

async function printStates(states: ReadonlyMap<string, State>, json: boolean): Promise<void> {
  if (json) return printLine(JSON.stringify(Object.fromEntries(states)));
  for (const [player, state] of states) {
    await printLine(paintData('bold', plainText(player, 64)));
    await printState(state, false);
  }
}

async function printState(state: State, json: boolean): Promise<void> {
  if (json) return printLine(JSON.stringify(state));
  for (const [key, value] of Object.entries(state)) {
    const isBlock = typeof value === 'string' && value.includes('\n');
    const shown = isBlock ? `\n${plainLines(value).replace(/^/gm, '    ')}` : ` ${plainJson(value)}`;
    await printLine(`  ${paintData('cyan', plainText(key, 64))}:${shown}`);
  }
}
