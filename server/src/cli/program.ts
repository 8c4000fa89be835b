import { readFileSync } from 'node:fs';
import { Command } from 'commander';

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

/** In the order of the help. A verb takes longer to load than to do, so none is loaded for another. */
const VERBS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  dev: async () => (await import('./dev.ts')).addDev,
  serve: async () => (await import('./serve.ts')).addServe,
  rooms: async () => (await import('./rooms.ts')).addRooms,
  bots: async () => (await import('./bots.ts')).addBots,
  info: async () => (await import('./info.ts')).addInfo,
  verify: async () => (await import('./verify.ts')).addVerify,
  recover: async () => (await import('./recover.ts')).addRecover,
  cat: async () => (await import('./cat.ts')).addCat,
  state: async () => (await import('./state.ts')).addState,
  stats: async () => (await import('./stats.ts')).addStats,
  diff: async () => (await import('./diff.ts')).addDiff,
  play: async () => (await import('./play.ts')).addPlay,
  tail: async () => (await import('./tail.ts')).addTail,
  convert: async () => (await import('./convert.ts')).addConvert,
  cut: async () => (await import('./cut.ts')).addCut,
  merge: async () => (await import('./merge.ts')).addMerge,
  redact: async () => (await import('./redact.ts')).addRedact,
};

/** The verb that `args` begin with, or all of them. Errors are thrown, never printed: `reportFailure` does that. */
export async function makeProgram([verb = '']: readonly string[]): Promise<Command> {
  const program = new Command('gametape')
    .description('Records live multiplayer sessions into one verifiable, replayable file per room.')
    .version(readVersion(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'show this help, or that of a verb')
    .addHelpText('after', EXAMPLES)
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  const wanted = Object.hasOwn(VERBS, verb) ? [VERBS[verb]] : Object.values(VERBS);
  for (const add of await Promise.all(wanted.map((load) => load?.()))) add?.(program);
  return program;
}

function readVersion(): string {
  const manifest = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}
