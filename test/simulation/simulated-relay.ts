import {
  DEFAULT_RELAY_OPTIONS,
  FileJournal,
  type JournalDamage,
  type Logger,
  NODE_COMPRESSION,
  RecordingStore,
  type RelayOptions,
} from '@gametape/server';
import type { ManualClock, Owner } from '../support/manual-clock.ts';
import type { SimulatedDisk } from '../support/simulated-disk.ts';
import type { Random } from '../support/simulated-file.ts';
import type { Network } from './network.ts';
import {
  Embargo,
  finishedSummary,
  finishRecording,
  RoomDirectory,
  Session,
  SessionSet,
  writeRecording,
} from './parts.ts';
import type { Trace } from './trace.ts';

export const DATA_DIRECTORY = '/data';

export interface SimulatedRelayOptions {
  readonly clock: ManualClock;
  readonly network: Network;
  readonly disk: SimulatedDisk;
  readonly random: Random;
  readonly trace: Trace;
  readonly relay: Partial<RelayOptions>;
  readonly segmentBytes: number;
  readonly wallOffsetMs: number;
  readonly onDamage: (damage: JournalDamage) => void;
  /** What the relay logs as an error. */
  readonly onError: (message: string) => void;
}

/** One life of the relay: the parts that `relay.ts` puts together, over a simulated disk and network. */
export class SimulatedRelay {
  readonly owner: Owner;
  readonly #options: SimulatedRelayOptions;
  readonly #relayOptions: RelayOptions;
  #journal: FileJournal | undefined;
  #directory: InstanceType<typeof RoomDirectory> | undefined;
  #sessions: InstanceType<typeof SessionSet> | undefined;
  #state: 'starting' | 'running' | 'stopping' | 'stopped' | 'failed' = 'starting';

  constructor(name: string, options: SimulatedRelayOptions) {
    const { clock, wallOffsetMs } = options;
    this.#options = options;
    this.#relayOptions = { ...DEFAULT_RELAY_OPTIONS, ...options.relay };
    this.owner = clock.spawn(name, wallOffsetMs);
    clock.schedule(
      0,
      () => {
        this.#start().catch((error: unknown) => this.#fail(`start: ${(error as Error).message}`));
      },
      this.owner,
    );
  }

  get state(): string {
    return this.#state;
  }

  /** No room is open. */
  get isIdle(): boolean {
    return this.#state === 'running' && this.#rooms.length === 0;
  }

  get #rooms() {
    return [...(this.#directory?.rooms ?? [])];
  }

  /** SIGTERM (J7). */
  stop(): void {
    this.#options.clock.schedule(
      0,
      () => {
        this.#stop().catch((error: unknown) => this.#fail(`stop: ${(error as Error).message}`));
      },
      this.owner,
    );
  }

  async #start(): Promise<void> {
    const { disk, network, random, segmentBytes, onDamage } = this.#options;
    const { syncIntervalMs } = this.#relayOptions;
    const options = this.#relayOptions;
    const journal = await FileJournal.open(DATA_DIRECTORY, {
      compression: NODE_COMPRESSION,
      syncIntervalMs,
      segmentBytes,
      files: disk,
      onDamage,
    });
    const store = await RecordingStore.open(DATA_DIRECTORY, disk);
    const log = this.#log();
    const directory = new RoomDirectory({
      options,
      journal,
      compression: NODE_COMPRESSION,
      log,
      embargo: new Embargo(store),
      randomBytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(random() * 256)),
      finish: (room, end) => {
        // What the worker does, without the thread.
        const finalize = (job: Parameters<typeof writeRecording>[0]) => writeRecording(job, disk);
        return finishRecording({ journal, store, finalize, formats: 'binary', log }, room, end);
      },
      finished: (recordingId) => finishedSummary(store, recordingId),
      origin: () => Promise.reject(new Error('no room of a simulation starts from a checkpoint')),
    });
    this.#journal = journal;
    this.#directory = directory;
    await directory.recover();
    const sessions = new SessionSet(
      options,
      (peer, onClosed) => new Session(peer, { directory, options, log, onClosed }),
    );
    this.#sessions = sessions;
    network.listen({ owner: this.owner, onPeer: (peer) => sessions.open(peer) });
    this.#state = 'running';
  }

  async #stop(): Promise<void> {
    this.#state = 'stopping';
    this.#sessions?.close();
    await this.#directory?.close();
    this.#options.network.closeAll();
    await this.#journal?.close();
    this.#state = 'stopped';
  }

  #fail(message: string): void {
    this.#state = 'failed';
    this.#options.trace.note(`${this.owner.name} failed: ${message}`);
    this.#options.onError(message);
  }

  #log(): Logger {
    const { trace, onError } = this.#options;
    const note = (level: string) => (details: object, message: string) => {
      trace.note(`${this.owner.name} ${level} ${message} ${JSON.stringify(details)}`);
      if (level === 'error') onError(`${message} ${JSON.stringify(details)}`);
    };
    return { info: note('info'), warn: note('warn'), error: note('error') };
  }
}
