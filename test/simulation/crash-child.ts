/**
 * A relay without sockets that kills itself at one file operation: node crash-child.js play|recover|finish DIR [OPERATION NTH]
 *
 * It says on stdout, a JSON line each: `{operation}` before every one, `{recordingId, room}`, `{room, player, accepted}` and
 * `{ended: room}`. `recover` brings back what is there, `finish` ends it too.
 */
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { DEFAULT_RELAY_OPTIONS, FileJournal, type Files, NODE_COMPRESSION, RecordingStore } from '@gametape/server';
import { BodyEncoder, decodeDownMessage, encodeMessage, JSON_PROFILE, type UpMessage } from '@gametape/shared';
import { FailingFiles, type FileCall } from '../support/failing-files.ts';
import {
  Embargo,
  finishedSummary,
  finishRecording,
  type Peer,
  RoomDirectory,
  Session,
  writeRecording,
} from './parts.ts';

const OPTIONS = { ...DEFAULT_RELAY_OPTIONS, flushMs: 0, endTimeoutMs: 50 };
const LOG = { info: ignore, warn: ignore, error: ignore };
const [mode = '', directory = '', operation = '', nth = '0'] = process.argv.slice(2);

const CALLS: Readonly<Record<FileCall, string>> = {
  create: 'create',
  open: 'open',
  writev: 'write',
  datasync: 'sync',
  truncate: 'truncate',
  makeDirectory: 'make',
  syncDirectory: 'sync',
  rename: 'rename',
  remove: 'remove',
};
/** So much of the write that it does not live to see gets to the file: some of a block. */
const TORN_BYTES = 60;

let seen = 0;
let isDying = false;
const files = new FailingFiles();
files.onCall = async (call, _count, path) => {
  const found = `${CALLS[call]} ${kindOf(path)}`;
  say({ operation: found });
  // Without a name, any of them counts.
  const isLast = (operation === '' || found === operation) && ++seen === Number(nth);
  if (isLast && call === 'writev') {
    files.maxWriteBytes = TORN_BYTES;
    isDying = true;
  } else if (isLast || isDying) {
    process.kill(process.pid, 'SIGKILL');
    // Nothing that was on its way may go on.
    await new Promise(() => {});
  }
};
const { journal, rooms } = await start(files);
async function start(through: Files) {
  const opened = await FileJournal.open(directory, {
    compression: NODE_COMPRESSION,
    onDamage: (damage) => say({ damage }),
    files: through,
    segmentBytes: 6_000,
    syncIntervalMs: 0,
  });
  const store = await RecordingStore.open(directory, through);
  const finalize = (job: Parameters<typeof writeRecording>[0]) => writeRecording(job, through);
  const common = { journal: opened, log: LOG, compression: NODE_COMPRESSION };
  const found = new RoomDirectory({
    ...common,
    options: OPTIONS,
    randomBytes,
    embargo: new Embargo(store),
    finish: (room, end) => finishRecording({ ...common, store, finalize, formats: 'binary' }, room, end),
    finished: (recordingId) => finishedSummary(store, recordingId),
    origin: () => Promise.reject(new Error('no room starts from a checkpoint')),
  });
  await found.recover();
  return { journal: opened, rooms: found };
}

/** Two rooms, one of which ends while the other goes on: segments fill up, blocks are sealed, recordings finished. */
async function play(): Promise<void> {
  const long = [await Player.join('long', 'a'), await Player.join('long', 'b')];
  const short = [await Player.join('short', 'a')];
  await talk([...long, ...short], 20);
  await seal('short');
  await rooms.room('long')?.checkpoint('half-way');
  await talk([...long, ...short], 20);
  await seal('long');
  await talk([...long, ...short], 10);
  await end('short');
  await talk(long, 20);
  await seal('long');
  await talk(long, 10);
  await end('long');
}

async function talk(players: readonly Player[], times: number): Promise<void> {
  for (let i = 0; i < times; i++) await Promise.all(players.map((player) => player.say()));
}

async function seal(room: string): Promise<void> {
  await (await rooms.room(room)?.room.output.seal())?.stable;
}

async function end(room: string): Promise<void> {
  await rooms.room(room)?.end({});
  say({ ended: room });
}

/** A player whose messages take no network. */
class Player {
  readonly #room: string;
  readonly #player: string;
  readonly #session: InstanceType<typeof Session>;
  readonly #bodies = new BodyEncoder(JSON_PROFILE, NODE_COMPRESSION.crc32);
  #said = 0;
  #accepted = 0;
  #onAck: () => void = ignore;

  private constructor(room: string, player: string) {
    this.#room = room;
    this.#player = player;
    const peer: Peer = {
      address: '127.0.0.1',
      bufferedBytes: 0,
      send: (bytes) => this.#receive(bytes.slice()),
      close: ignore,
      terminate: ignore,
    };
    this.#session = new Session(peer, { directory: rooms, options: OPTIONS, log: LOG, onClosed: ignore });
  }

  static async join(room: string, player: string): Promise<Player> {
    const joined = new Player(room, player);
    const welcomed = new Promise<void>((resolve) => {
      joined.#onAck = resolve;
    });
    const hello = { protocols: [1], role: 'player', profile: 'json', clock: 0, state: new Uint8Array(0) } as const;
    joined.#send({ kind: 'hello', room, player, instance: `${room}-${player}`, ...hello });
    await welcomed;
    return joined;
  }

  /** Resolves when it is accepted. */
  async say(): Promise<void> {
    const n = ++this.#said;
    const body = this.#bodies.encode({ type: 'said', data: { n, text: randomBytes(40).toString('hex') } }, 0);
    const accepted = new Promise<void>((resolve) => {
      this.#onAck = () => {
        if (this.#accepted >= n) resolve();
      };
    });
    this.#send({ kind: 'events-up', firstPseq: n, events: [{ stampDelta: 100, body }] });
    await accepted;
  }

  #send(message: UpMessage): void {
    this.#session.receive(encodeMessage(message));
  }

  #receive(bytes: Uint8Array): void {
    const message = decodeDownMessage(bytes);
    const { room, player } = { room: this.#room, player: this.#player };
    if (message.kind === 'welcome') say({ recordingId: message.recordingId, room });
    else if ('acks' in message && message.acks.accepted > this.#accepted) {
      this.#accepted = message.acks.accepted;
      say({ room, player, accepted: this.#accepted });
    } else if (message.kind === 'ending') {
      const lastPseq = this.#said;
      queueMicrotask(() => this.#send({ kind: 'final', lastPseq }));
      return;
    }
    // A network would take its time, too.
    if (message.kind === 'welcome' || 'acks' in message) setImmediate(() => this.#onAck());
  }
}

function kindOf(path: string): string {
  const name = basename(path);
  if (name.endsWith('.log')) return 'segment';
  if (name.endsWith('.finished')) return 'mark';
  if (name.endsWith('.partial')) return 'recording';
  if (name.endsWith('.lmsp')) return basename(dirname(path)) === 'journal' ? 'unfinished file' : 'recording';
  return name === 'journal' || name === 'recordings' ? `${name} directory` : 'data directory';
}

/** At once: what is said has been said when the process is gone. */
function say(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function ignore(): void {}

if (mode === 'play') await play();
if (mode === 'finish') {
  for (const live of [...rooms.rooms]) await live.end({});
  await rooms.close();
  await journal.close();
}
process.exit(0);
