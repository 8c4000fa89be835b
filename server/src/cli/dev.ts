import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { pino } from 'pino';
import { DEFAULT_RELAY_OPTIONS } from '../options.ts';
import type { Relay } from '../relay.ts';
import { parseCount, parsePort } from './arguments.ts';
import { DEMO_ROOM, playDemos } from './demo.ts';
import { interruptedExitCode, interruption } from './interruption.ts';
import { paint, paintData, print, printLine, say } from './terminal.ts';

const EXAMPLES = `
Examples:
  gametape dev
  gametape dev --port 0 --data /tmp/gametape --json`;

/** How many ports after the wanted one are tried. */
const PORTS_TO_TRY = 20;

interface DevOptions {
  readonly port: number;
  readonly data: string;
  readonly seed: number;
  readonly demo: boolean;
  readonly json?: true;
}

export function addDev(program: Command): void {
  program
    .command('dev')
    .summary('a relay, a viewer and a demo, to look at and to develop with')
    .description('Starts a relay on this machine alone, with the viewer and a demo room in which two bots play.')
    .option('-p, --port <port>', 'TCP port; the next free one if it is taken', parsePort, DEFAULT_RELAY_OPTIONS.port)
    .option('--data <dir>', 'directory of the journal and the recordings', './.gametape')
    .option('--seed <number>', 'for what the bots do', parseCount, 1)
    .option('--no-demo', 'without the demo room')
    .option('--json', 'say on stdout, as one JSON line, where the relay listens')
    .addHelpText('after', EXAMPLES)
    .action(dev);
}

async function dev(options: DevOptions): Promise<void> {
  const signal = interruption();
  const relay = await startOnFreePort(options);
  try {
    if (options.json) await printLine(JSON.stringify({ event: 'listening', http: relay.url, ws: relay.wsUrl }));
    else await print(welcome(relay, options));
    const watchAt = `${relay.url}/live/${DEMO_ROOM}`;
    if (options.demo) {
      say(`ann and bob play a demo, over and over: ${paint('cyan', watchAt)}`);
      await playDemos({ url: relay.wsUrl, seed: options.seed, signal });
    }
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  } finally {
    await relay.close();
  }
  // Bots that could not leave would go on trying to reach the relay.
  process.exit(interruptedExitCode());
}

async function startOnFreePort({ port: wanted, data }: DevOptions): Promise<Relay> {
  // The other verbs start quicker without a relay to load.
  const { startRelay } = await import('../relay.ts');
  const log = pino({ level: 'warn', base: undefined }, pino.destination({ fd: 2, sync: true }));
  for (let port = wanted; ; port++) {
    try {
      const relay = await startRelay({ port, dataDir: resolve(data), log });
      if (port !== wanted) say(`${paint('yellow', 'note')}: port ${wanted} is taken, this is ${port}.`);
      return relay;
    } catch (error) {
      const isTaken = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === 'EADDRINUSE';
      if (!isTaken || port >= wanted + PORTS_TO_TRY) throw error;
    }
  }
}

function welcome({ url, wsUrl }: Relay, { data }: DevOptions): string {
  const title = (text: string) => paintData('bold', text);
  return `
${title('gametape is running')}, for this machine alone.

  viewer      ${paintData('cyan', url)}
  relay       ${paintData('cyan', wsUrl)}
  recordings  ${join(resolve(data), 'recordings')}

${title('Record from your own game:')}

  import { connect } from '@gametape/client-sdk';

  const session = await connect({ url: '${wsUrl}', room: 'my-room', player: 'me' });
  session.record({ type: 'keystroke', data: { char: 'd', modifiers: [] } });
  const { recordingId, complete } = await session.end();

Ctrl+C stops it.

`;
}
