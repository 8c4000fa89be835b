import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Relay, type RelayOptions, startRelay, verifyRecording } from '@gametape/server';
import { BytesSource, type Compression, RecordingReader } from '@gametape/shared';
import { expect, onTestFinished } from 'vitest';
import { freePort } from './free-port.ts';
import { tempDir } from './temp-dir.ts';
import { within } from './wait-for.ts';

const GAMETAPE = fileURLToPath(new URL('../../server/bin/gametape.mjs', import.meta.url));

/** A machine that does much else at the same time takes its time to load the relay. */
const START_LIMIT_MS = 120_000;
/** J7: a relay that is told to stop is gone by then. */
const STOP_LIMIT_MS = 10_000;

/** Short enough that a test need not wait, long enough for a busy machine. */
const QUICK: Partial<RelayOptions> = {
  viewer: false,
  flushMs: 4,
  syncIntervalMs: 4,
  heartbeatMs: 100,
  silenceMs: 10_000,
  handshakeMs: 10_000,
  dropGraceMs: 8_000,
  endTimeoutMs: 8_000,
};

/** A relay in this process, that can be stopped and started again at the same address with the same data. */
export class TestRelay {
  readonly dataDir: string;
  readonly port: number;
  readonly #options: Partial<RelayOptions>;
  #relay: Relay | undefined;

  private constructor(dataDir: string, options: Partial<RelayOptions>, relay: Relay) {
    this.dataDir = dataDir;
    this.#options = options;
    this.#relay = relay;
    this.port = Number(new URL(relay.url).port);
  }

  static async start(options: Partial<RelayOptions> = {}): Promise<TestRelay> {
    const { dataDir = await tempDir() } = options;
    const relay = await startRelay({ ...QUICK, port: await freePort(), dataDir, ...options });
    const started = new TestRelay(dataDir, options, relay);
    onTestFinished(() => started.stop());
    return started;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get wsUrl(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    const relay = this.#relay;
    this.#relay = undefined;
    await relay?.close();
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#relay = await startRelay({ ...QUICK, dataDir: this.dataDir, ...this.#options, port: this.port });
  }

  async get(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(`${this.url}${path}`, init);
  }

  /** The room as the HTTP API describes it, undefined when there is none. */
  async room(name: string): Promise<RoomDescription | undefined> {
    const response = await this.get(`/v1/rooms/${name}`);
    return response.ok ? ((await response.json()) as RoomDescription) : undefined;
  }

  async recording(recordingId: string): Promise<Recording> {
    const bytes = new Uint8Array(await (await this.get(`/v1/recordings/${recordingId}.lmsp`)).arrayBuffer());
    return await readRecording(bytes);
  }
}

export interface RoomDescription {
  readonly recordingId: string;
  readonly players: readonly { readonly id: string; readonly connected: boolean }[];
  readonly spectators: number;
  readonly events: number;
  readonly checkpoints: readonly string[];
  readonly durationS: number;
}

/** One entry of a recording, in the order of the timeline. */
export interface RecordedEntry {
  readonly seq: number;
  readonly player: string;
  readonly producer: number;
  readonly pseq: number;
  /** Microseconds of room time. */
  readonly time: number;
  readonly stamp: number | null;
  readonly type: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;
  readonly body: Uint8Array;
}

/** A whole recording, verified. */
export interface Recording {
  readonly entries: readonly RecordedEntry[];
  /** What players made: without the events of the relay. */
  readonly own: readonly RecordedEntry[];
  readonly states: ReadonlyMap<string, unknown>;
  readonly summary: NonNullable<RecordingReader['summary']>;
  readonly checkpoints: RecordingReader['checkpoints'];
}

/** Reads a recording and lets `verify` look at every byte of it. */
export async function readRecording(bytes: Uint8Array, compression?: Compression): Promise<Recording> {
  const report = await verifyRecording(new BytesSource(bytes));
  expect(report.problems).toEqual([]);
  const reader = await RecordingReader.open(new BytesSource(bytes), compression);
  const entries: RecordedEntry[] = [];
  const states = new Map<string, unknown>();
  const lastContexts = new Map<string, { toJson(): unknown }>();
  for await (const { entry, body, context } of reader.steps()) {
    const { seq, producer, pseq, time, stamp } = entry;
    const { type, data = {} } = body.event ?? {};
    entries.push({ seq, player: context.player, producer, pseq, time, stamp, type, data, body: entry.body.slice() });
    lastContexts.set(context.player, context.state);
  }
  for (const [player, state] of lastContexts) states.set(player, state.toJson());
  if (!reader.summary) throw new Error('the recording is not finished');
  const own = entries.filter(({ stamp }) => stamp !== null);
  return { entries, own, states, summary: reader.summary, checkpoints: reader.checkpoints };
}

/** How the process is started. */
export interface ProcessOptions {
  /** What starts it in its own place, such as `prlimit --nofile=160`. */
  readonly command?: readonly string[];
  /** Arguments of Node. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** The relay as a process of its own, that can be killed and started again at the same port with the same data. */
export class RelayProcess {
  readonly dataDir: string;
  #port = 0;
  #child: ChildProcess | undefined;
  #stderr = '';

  readonly #args: readonly string[];
  readonly #around: ProcessOptions;

  private constructor(dataDir: string, args: readonly string[], around: ProcessOptions) {
    this.dataDir = dataDir;
    this.#args = args;
    this.#around = around;
  }

  /** `args` are more options of `gametape serve`. */
  static async start(
    dataDir: string,
    args: readonly string[] = [],
    around: ProcessOptions = {},
  ): Promise<RelayProcess> {
    const relay = new RelayProcess(dataDir, args, around);
    onTestFinished(() => relay.kill());
    await relay.start();
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get wsUrl(): string {
    return `ws://127.0.0.1:${this.#port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** The process has not ended. */
  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it has logged so far, over all its lives. */
  get log(): string {
    return this.#stderr;
  }

  recordingPath(recordingId: string): string {
    return join(this.dataDir, 'recordings', `${recordingId}.lmsp`);
  }

  async start(): Promise<void> {
    try {
      await within('the relay to listen', this.launch(), START_LIMIT_MS);
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** Starts the process. Resolves once it listens, rejects if it ends before that. */
  async launch(): Promise<void> {
    if (this.#port === 0) this.#port = await freePort();
    const serve = [GAMETAPE, 'serve', '--port', String(this.#port), '--data', this.dataDir, '--json', ...this.#args];
    const { command = [], args = [], env = {} } = this.#around;
    const [program, ...rest] = [...command, process.execPath, ...args, ...serve] as [string, ...string[]];
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    const lines = createInterface(child.stdout);
    const line = await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve);
      child.once('exit', (code) => reject(new Error(`the relay exited with ${code}: ${this.#stderr.slice(-2_000)}`)));
    });
    this.#port = Number(new URL((JSON.parse(line) as { ws: string }).ws).port);
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** Resolves with the exit code of the process there is now, null when a signal has ended it. */
  async exited(): Promise<number | null> {
    const child = this.#child;
    if (!child) throw new Error('the relay does not run');
    if (child.exitCode === null && child.signalCode === null)
      await within('the relay to end', once(child, 'exit'), STOP_LIMIT_MS);
    return child.exitCode;
  }

  /** kill -9. Resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Resolves with the exit code, null when it did not end by itself. */
  async stop(): Promise<number | null> {
    return await this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    const { isRunning } = this;
    this.#child = undefined;
    if (!child || !isRunning) return null;
    const exited = once(child, 'exit') as Promise<[number | null]>;
    child.kill(signal);
    const [code] = await within(`the relay to end after ${signal}`, exited, STOP_LIMIT_MS);
    return code;
  }
}
