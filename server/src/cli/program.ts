import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addBots } from './bots.ts';
import { addCat } from './cat.ts';
import { addConvert } from './convert.ts';
import { addCut } from './cut.ts';
import { addDev } from './dev.ts';
import { addDiff } from './diff.ts';
import { addInfo } from './info.ts';
import { addMerge } from './merge.ts';
import { addPlay } from './play.ts';
import { addRecover } from './recover.ts';
import { addRedact } from './redact.ts';
import { addRooms } from './rooms.ts';
import { addServe } from './serve.ts';
import { addState } from './state.ts';
import { addStats } from './stats.ts';
import { addTail } from './tail.ts';
import { addVerify } from './verify.ts';

const EXAMPLES = `
Examples:
  gametape dev                             a relay, a viewer and a demo, on this machine
  gametape serve --data ./data             a relay
  gametape info session.lmsp               what a recording holds
  gametape play session.lmsp               replay it in the terminal
  gametape tail demo --url WS              watch a live room in the terminal
  gametape verify session.lmsp             prove that it is what was recorded
  gametape recover broken.lmsp -o new.lmsp what is intact of a damaged recording
  gametape <verb> --help                   how a verb is used

Exit codes: 0 ok, 1 failed, 2 usage, 3 done with losses, 4 not allowed, 5 damaged or different, 130 interrupted.
Data goes to stdout, everything else to stderr. NO_COLOR is respected.`;

/** All verbs. Errors are thrown, never printed: `reportFailure` does that. */
export function makeProgram(): Command {
  const program = new Command('gametape')
    .description('Records live multiplayer sessions into one verifiable, replayable file per room.')
    .version(readVersion(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'show this help, or that of a verb')
    .addHelpText('after', EXAMPLES)
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  for (const add of [
    ...[addDev, addServe, addRooms, addBots, addInfo, addVerify, addRecover, addCat, addState, addStats, addDiff],
    ...[addPlay, addTail, addConvert, addCut, addMerge, addRedact],
  ])
    add(program);
  return program;
}

function readVersion(): string {
  const manifest = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}
