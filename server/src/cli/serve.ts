import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { pino } from 'pino';
import { DEFAULT_RELAY_OPTIONS, type RelayOptions } from '../options.ts';
import { parsePort, parseSeconds, parseSpectatorDelay } from './arguments.ts';
import { UsageError } from './failure.ts';
import { interruptedExitCode, interruption } from './interruption.ts';
import { paint, printLine, say } from './terminal.ts';

const EXAMPLES = `
Examples:
  gametape serve
  gametape serve --port 8080 --data /var/lib/gametape --format both
  gametape serve --redis redis://127.0.0.1:6379 --data /var/lib/gametape
  gametape serve --from 01HF7YAT01040G2081040G2081#before_boss   its room goes on from that checkpoint
  gametape serve --port 0 --json        any free port; says which on stdout once it is ready

SIGINT and SIGTERM make everything stable, tell the clients to come back, and stop the relay.`;

const NOT_YET = '(not available yet in this version)';

interface ServeOptions {
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly format: RelayOptions['format'];
  readonly transport: 'ws' | 'uws' | 'auto';
  readonly from?: string;
  readonly spectatorDelay: number;
  readonly redis?: string;
  readonly redisAcceptLoss?: true;
  readonly lease: number;
  readonly config?: string;
  readonly insecure?: true;
  readonly viewer: boolean;
  readonly json?: true;
}

export function addServe(program: Command): void {
  const { port, host, format, leaseMs } = DEFAULT_RELAY_OPTIONS;
  program
    .command('serve')
    .summary('run a relay')
    .description('Runs a relay: players connect, spectators watch, every room becomes a recording.')
    .option('-p, --port <port>', 'TCP port; 0 is any that is free', parsePort, port)
    .option('--host <address>', 'address to listen on', host)
    .option('--data <dir>', 'directory of the journal and the recordings', './.gametape')
    .addOption(
      new Option('--format <format>', 'files that a recording becomes')
        .choices(['binary', 'gzip', 'both'])
        .default(format),
    )
    .addOption(
      new Option('--transport <name>', 'WebSocket implementation').choices(['ws', 'uws', 'auto']).default('auto'),
    )
    .option('--redis <url>', 'journal in Redis, which several relays may share; recordings still go to --data')
    .option('--redis-accept-loss', 'record although the settings of Redis may lose what it has acknowledged')
    .option(
      '--lease <seconds>',
      'with --redis: how long a relay that is silent keeps its rooms',
      parseSeconds,
      leaseMs / 1_000,
    )
    .option('--from <recording#checkpoint>', 'start the next session in the room of a finished recording from there')
    .option(
      '--spectator-delay <seconds>',
      'spectators are shown everything that much later, at most 300',
      parseSpectatorDelay,
      DEFAULT_RELAY_OPTIONS.spectatorDelayMs / 1_000,
    )
    .option('--config <file>', `options from a file ${NOT_YET}`)
    .option('--insecure', 'listen on other than loopback addresses, where anybody may connect')
    .option('--no-viewer', 'without the viewer under /')
    .option('--json', 'say on stdout, as one JSON line, where the relay listens')
    .addHelpText('after', EXAMPLES)
    .action(serve);
}

async function serve(options: ServeOptions): Promise<void> {
  refuseWhatIsMissing(options);
  checkHost(options);
  const { port, host, format, viewer, json, redis, redisAcceptLoss, from } = options;
  const leaseMs = options.lease * 1_000;
  const spectatorDelayMs = Math.round(options.spectatorDelay * 1_000);
  const dataDir = resolve(options.data);
  const stopped = interruption();
  // The other verbs start quicker without a relay to load.
  const { startRelay } = await import('../relay.ts');
  const log = pino({ base: undefined }, pino.destination({ fd: 2, sync: true }));
  const journal = { redis, redisAcceptLoss, leaseMs };
  const settings = { port, host, dataDir, format, viewer, log, ...journal, from, spectatorDelayMs };
  const relay = await startRelay(settings, stopped).catch((error: unknown) => {
    if (error === stopped.reason) return undefined;
    throw error;
  });
  if (!relay) {
    process.exitCode = interruptedExitCode();
    return;
  }
  if (json) await printLine(JSON.stringify({ event: 'listening', http: relay.url, ws: relay.wsUrl }));
  else
    await printLine(
      `gametape listens on ${relay.wsUrl}, ${viewer ? 'viewer' : 'HTTP'} at ${relay.url}, data in ${dataDir}`,
    );
  if (!stopped.aborted) await new Promise((resolve) => stopped.addEventListener('abort', resolve, { once: true }));
  await relay.close();
  process.exitCode = interruptedExitCode();
}

function refuseWhatIsMissing({ transport, config }: ServeOptions): void {
  const missing = [
    [transport === 'uws', '--transport uws', 'Use --transport ws.'],
    [config !== undefined, '--config', 'Pass the options themselves.'],
  ] as const;
  for (const [isGiven, name, hint] of missing) {
    if (isGiven) throw new UsageError(`${name} is not available yet in this version`, hint);
  }
}

/** S3: tokens come in a later version; until then whoever reaches the port may do everything. */
function checkHost({ host, insecure }: ServeOptions): void {
  if (isLoopback(host)) return;
  if (!insecure) {
    throw new UsageError(
      `${host} is no loopback address, and this version knows no tokens yet: anybody who reaches it could join, watch and end every room`,
      'Listen on 127.0.0.1 behind a proxy that checks who connects, or pass --insecure.',
    );
  }
  say(`${paint(['bold', 'red'], 'insecure')}: anybody who reaches ${host} can join, watch and end every room.`);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
