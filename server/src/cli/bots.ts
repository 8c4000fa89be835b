import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Session } from '@gametape/client-sdk';
import { isId, type SessionSummary } from '@gametape/shared';
import { type Command, InvalidArgumentError } from 'commander';
import { parseCount, parseSeconds, parseSpeed } from './arguments.ts';
import { ExitCode } from './exit-code.ts';
import { interruptedExitCode, interruption, orAborted } from './interruption.ts';
import { ProgressLine, paint, printLine, say } from './terminal.ts';
import { loadTrace, playerNames, type Trace, typingGaps } from './trace.ts';
import { type TypingResult, typeTrace, typistState } from './typist.ts';

const EXAMPLES = `
Examples:
  gametape bots --url ws://127.0.0.1:7600 --room demo --trace ann.json.gz bob.json.gz
  gametape bots --url ws://127.0.0.1:7600 --room load --trace *.json.gz --speed max --limit 5000 --end --json

A trace is {"startContent"?, "endContent", "txns": [{"time"?, "patches": [[position, deleted, "inserted"]]}]}, positions
in code points, .json or .json.gz. Exit code 3: the recording is not complete.`;

/** How long bots that cannot go on try to leave in order. */
const LEAVE_LIMIT_MS = 3_000;

interface BotsOptions {
  readonly url: string;
  readonly room: string;
  readonly trace: readonly string[];
  readonly speed: number;
  readonly maxGap: number;
  readonly limit?: number;
  readonly seed: number;
  readonly end?: true;
  readonly json?: true;
}

/** One player and what it is going to type. */
interface Bot {
  readonly player: string;
  readonly trace: Trace;
  readonly gaps: Float64Array;
  readonly seed: number;
}

/** What `--json` prints. */
interface BotsReport {
  readonly room: string;
  readonly players: readonly string[];
  /** Made by the bots; joining and leaving not counted. */
  readonly events: number;
  /** Path and completeness are known once the room has ended; the path only where the relay is on this machine. */
  readonly recording: { readonly id: string; readonly path: string | null; readonly complete: boolean | null };
}

export function addBots(program: Command): void {
  program
    .command('bots')
    .summary('players that type recorded editing sessions')
    .description('Real SDK clients type editing traces into a room, one player per file, named after it.')
    .option('--url <ws>', 'address of the relay', 'ws://127.0.0.1:7600')
    .requiredOption('--room <id>', 'room to join', parseRoom)
    .requiredOption('--trace <file...>', 'editing traces')
    .option('--speed <factor>', 'divides every wait; "max" does not wait at all', parseSpeed, 1)
    .option('--max-gap <seconds>', 'longest wait between two edits, before --speed', parseSeconds, 2)
    .option('--limit <edits>', 'only so many edits of each trace', parseCount)
    .option('--seed <number>', 'for waits that the trace does not tell, and for what bots say', parseCount, 1)
    .option('--end', 'end the room when all have finished')
    .option('--json', 'one JSON object on stdout at the end')
    .addHelpText('after', EXAMPLES)
    .action(runBots);
}

async function runBots(options: BotsOptions): Promise<void> {
  const bots = await loadBots(options);
  const stop = new AbortController();
  const interrupted = interruption();
  interrupted.addEventListener('abort', () => stop.abort(), { once: true });
  const sessions: Session[] = [];
  try {
    await orAborted(connectAll(bots, sessions, options), stop.signal);
    const results = await typeAll(bots, sessions, options, stop.signal);
    const summary = await orAborted(options.end ? endRoom(sessions) : leaveAll(sessions), stop.signal);
    await report(await makeReport({ options, sessions, results, summary }), options);
    if (summary && !summary.complete) process.exitCode = ExitCode.Losses;
  } catch (error) {
    stop.abort();
    await Promise.race([leaveAll(sessions), sleep(LEAVE_LIMIT_MS)]);
    if (!interrupted.aborted) throw error;
    process.exitCode = interruptedExitCode();
  }
}

async function loadBots({ trace: paths, limit, seed, maxGap }: BotsOptions): Promise<Bot[]> {
  const names = playerNames(paths);
  return Promise.all(
    paths.map(async (path, index) => {
      const trace = await loadTrace(path);
      const botSeed = seed + index;
      const gaps = typingGaps(trace.edits, { seed: botSeed, maxGapMs: maxGap * 1_000 }).subarray(0, limit);
      return { player: names[index] ?? 'player', trace, gaps, seed: botSeed };
    }),
  );
}

/** Adds each session as soon as there is one, so that it can be left whatever happens; at last they are in the bots' order. */
async function connectAll(bots: readonly Bot[], sessions: Session[], { url, room }: BotsOptions): Promise<void> {
  const order = new Map(bots.map(({ player }, index) => [player, index]));
  await Promise.all(
    bots.map(async ({ player, trace }) => {
      const session = await connect({ url, room, player, state: typistState(player, trace) });
      session.on('error', ({ message }) => say(`${paint('yellow', 'warning')}: ${player}: ${message}`));
      sessions.push(session);
    }),
  );
  sessions.sort((a, b) => (order.get(a.player) ?? 0) - (order.get(b.player) ?? 0));
}

/** All bots type at the same time. When one cannot go on, none does. */
async function typeAll(
  bots: readonly Bot[],
  sessions: readonly Session[],
  { speed }: BotsOptions,
  signal: AbortSignal,
): Promise<TypingResult[]> {
  const progress = new ProgressLine();
  const total = bots.reduce((sum, { gaps }) => sum + gaps.length, 0);
  let done = 0;
  const onEdit = () => {
    done++;
    progress.update(() => `${done} of ${total} edits (${Math.floor((100 * done) / total)} %)`);
  };
  try {
    return await Promise.all(
      bots.map(async ({ player, trace, gaps, seed }, index) => {
        const session = sessions[index];
        if (!session) throw new TypeError(`no session of ${player}`);
        const result = await typeTrace(session, trace, { gaps, speed, seed, signal, onEdit });
        await orAborted(session.stable(), signal);
        return result;
      }),
    );
  } finally {
    progress.clear();
  }
}

/** The first bot ends the room, the others wait until they are told. */
async function endRoom(sessions: readonly Session[]): Promise<SessionSummary | undefined> {
  const [first, ...others] = sessions;
  const summary = await first?.end();
  await Promise.race([Promise.all(others.map(untilOver)), sleep(LEAVE_LIMIT_MS)]);
  return summary;
}

function untilOver(session: Session): Promise<void> {
  const isOver = () => session.status.connection === 'ended' || session.status.connection === 'closed';
  return new Promise((resolve) => {
    if (isOver()) return resolve();
    const stopListening = session.on('status', () => {
      if (!isOver()) return;
      stopListening();
      resolve();
    });
  });
}

async function leaveAll(sessions: readonly Session[]): Promise<undefined> {
  await Promise.allSettled(sessions.map((session) => session.leave()));
}

async function makeReport(outcome: {
  options: BotsOptions;
  sessions: readonly Session[];
  results: readonly TypingResult[];
  summary: SessionSummary | undefined;
}): Promise<BotsReport> {
  const { options, sessions, results, summary } = outcome;
  for (const name of results.flatMap(({ refused }) => refused)) {
    say(`${paint('yellow', 'warning')}: checkpoint ${name} was refused: the room has one of that name`);
  }
  const id = summary?.recordingId ?? sessions[0]?.recordingId ?? '';
  return {
    room: options.room,
    players: sessions.map(({ player }) => player),
    events: results.reduce((sum, { events }) => sum + events, 0),
    recording: { id, path: summary ? await localPath(options.url, id) : null, complete: summary?.complete ?? null },
  };
}

/** Where the recording lies, if the relay says so and it is on this machine. */
async function localPath(wsUrl: string, recordingId: string): Promise<string | null> {
  try {
    const response = await fetch(new URL(`/v1/recordings/${recordingId}`, wsUrl.replace(/^ws/, 'http')));
    const { path } = (await response.json()) as { path?: unknown };
    return typeof path === 'string' && existsSync(path) ? path : null;
  } catch {
    // The bots have done what they were asked to; where the file is can be asked of the relay at any time.
    return null;
  }
}

async function report(result: BotsReport, { json }: BotsOptions): Promise<void> {
  const { room, players, events, recording } = result;
  if (json) return printLine(JSON.stringify(result));
  await printLine(`${players.join(', ')} made ${events} events in room ${room}, recording ${recording.id}`);
  if (recording.complete === null) return;
  await printLine(
    `the recording is ${recording.complete ? 'complete' : 'NOT complete'}${recording.path ? `: ${recording.path}` : ''}`,
  );
}

function parseRoom(text: string): string {
  if (!isId(text)) throw new InvalidArgumentError('Expected 1 to 64 letters, digits, "_" or "-".');
  return text;
}
