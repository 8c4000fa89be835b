import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GametapeError } from '@gametape/shared';
import { viewerDirectory } from '@gametape/viewer';
import { builtViewer } from './http/built-viewer.ts';
import { keepDescriptors } from './http/descriptors.ts';
import { httpApi } from './http/http-api.ts';
import { httpServer } from './http/http-server.ts';
import type { JournalDamage } from './journal/damage.ts';
import { FileJournal } from './journal/file-journal.ts';
import type { Journal } from './journal/journal.ts';
import { MemoryJournal } from './journal/memory-journal.ts';
import { RedisJournal, type RedisJournalOptions } from './journal/redis-journal.ts';
import { relayIdOf } from './journal/relay-id.ts';
import { type Logger, SILENT } from './log.ts';
import { NODE_COMPRESSION } from './node-compression.ts';
import { DEFAULT_RELAY_OPTIONS, MAX_SPECTATOR_DELAY_MS, type RelayOptions } from './options.ts';
import { checkpointOrigin } from './recording/checkpoint-origin.ts';
import { Embargo } from './recording/embargo.ts';
import { finalize } from './recording/finalize.ts';
import { finishedSummary, finishRecording } from './recording/finish-recording.ts';
import { RecordingStore } from './recording/recording-store.ts';
import { RoomDirectory } from './room/room-directory.ts';
import { Session } from './session/session.ts';
import { SessionSet } from './session/session-set.ts';
import { WsTransport } from './transport/ws-transport.ts';

/** A running relay. */
export interface Relay {
  /** Address of the HTTP API and the viewer. */
  readonly url: string;
  /** Address that sessions and spectators connect to. */
  readonly wsUrl: string;
  /** Makes everything stable, tells clients to resume, and stops (J7). */
  close(): Promise<void>;
}

/**
 * Starts a relay, with every room that an earlier one left unfinished. The one place that names concrete classes. When `stopped`
 * is aborted meanwhile, it stops again without having listened, and rooms that are not back yet are left to the next one (J7).
 *
 * @throws GametapeError `UNREACHABLE` when the port cannot be had, `NOT_FOUND` when the viewer is not built; TypeError for an option that does not exist; the reason of `stopped`
 */
export async function startRelay(partial: Partial<RelayOptions> = {}, stopped?: AbortSignal): Promise<Relay> {
  const options = completeOptions(partial);
  const log = options.log ?? SILENT;
  // Before anything is opened that would have to be closed again.
  const viewer = options.viewer ? builtViewer(viewerDirectory) : undefined;
  const temporary = options.dataDir === undefined ? await mkdtemp(join(tmpdir(), 'gametape-')) : undefined;
  const dataDir = options.dataDir ?? (temporary as string);
  const store = await RecordingStore.open(dataDir);
  const embargo = new Embargo(store);
  let sessions: SessionSet | undefined;
  const journal = await openJournal(options, dataDir, log, {
    onLost: (room, error) => directory.lose(room, error),
    onDurability: (durability) => sessions?.welcomeAgain(`stable is ${durability} from now on`),
  });
  const directory: RoomDirectory = new RoomDirectory({
    options,
    journal,
    compression: NODE_COMPRESSION,
    log,
    randomBytes,
    finish: (room, end) => finishRecording({ journal, store, finalize, formats: options.format, log }, room, end),
    embargo,
    finished: (recordingId) => finishedSummary(store, recordingId),
    origin: (from) => checkpointOrigin(store, from),
  });
  if (stopped?.aborted) directory.drain();
  stopped?.addEventListener('abort', () => directory.drain(), { once: true });
  await directory.recover();
  const { from } = options;
  // A session that started there and is back goes on: the relay was killed and started again with the same options.
  if (from !== undefined && !directory.hasStartedFrom(from)) await directory.prepare({ from });
  // Rooms of relays that are gone are finished by those that are left, although no player asks for them.
  const takingOver = options.redis === undefined ? undefined : setInterval(() => directory.recover(), options.leaseMs);
  const transport = new WsTransport();
  const server = httpServer({
    api: httpApi({ directory, store, journal, embargo }),
    recordingsDirectory: store.directory,
    embargo,
    viewerDirectory: viewer,
  });
  const all = new SessionSet(options, (peer, onClosed) => new Session(peer, { directory, options, log, onClosed }));
  sessions = all;
  transport.attach(server, (peer) => all.open(peer));
  const close = async () => {
    clearInterval(takingOver);
    all.close();
    await directory.close();
    await transport.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await journal.close();
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
    log.info({}, 'stopped');
  };
  try {
    stopped?.throwIfAborted();
    const address = await listen(server, options);
    keepDescriptors(server, log);
    log.info({ ...address, durability: journal.durability }, 'listening');
    return { url: `http://${address.host}`, wsUrl: `ws://${address.host}`, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function completeOptions(partial: Partial<RelayOptions>): RelayOptions {
  for (const name of Object.keys(partial)) {
    if (!Object.hasOwn(DEFAULT_RELAY_OPTIONS, name)) throw new TypeError(`relay: there is no option ${name}`);
  }
  const { spectatorDelayMs = 0 } = partial;
  if (!(spectatorDelayMs >= 0 && spectatorDelayMs <= MAX_SPECTATOR_DELAY_MS)) {
    throw new TypeError(`spectatorDelayMs: expected 0 to ${MAX_SPECTATOR_DELAY_MS}, not ${spectatorDelayMs}`);
  }
  const given = Object.entries(partial).filter(([, value]) => value !== undefined);
  return { ...DEFAULT_RELAY_OPTIONS, ...Object.fromEntries(given) };
}

async function openJournal(
  { dataDir: given, redis, redisAcceptLoss, leaseMs, syncIntervalMs }: RelayOptions,
  dataDir: string,
  log: Logger,
  hooks: Pick<RedisJournalOptions, 'onLost' | 'onDurability'>,
): Promise<Journal> {
  const onDamage = (damage: JournalDamage) => log.error({ ...damage }, 'journal damaged');
  const common = { compression: NODE_COMPRESSION, onDamage };
  if (redis !== undefined) {
    const own = { relayId: await relayIdOf(dataDir), spoolDirectory: join(dataDir, 'spool') };
    return await RedisJournal.open({
      ...common,
      ...own,
      url: redis,
      acceptsLoss: redisAcceptLoss,
      leaseMs,
      log,
      ...hooks,
    });
  }
  if (given === undefined) return new MemoryJournal(NODE_COMPRESSION);
  return await FileJournal.open(dataDir, { ...common, syncIntervalMs });
}

async function listen(server: Server, { port, host }: RelayOptions): Promise<{ host: string }> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const hint = 'Choose another port, or stop what listens there.';
      reject(
        new GametapeError('UNREACHABLE', `${host}:${port}: cannot listen there (${cause.message})`, { cause, hint }),
      );
    });
    server.listen(port, host, resolve);
  });
  const { address, port: bound, family } = server.address() as AddressInfo;
  return { host: family === 'IPv6' ? `[${address}]:${bound}` : `${address}:${bound}` };
}
