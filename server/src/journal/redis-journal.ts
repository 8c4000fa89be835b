import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type Compression, GametapeError } from '@gametape/shared';
import type { Logger } from '../log.ts';
import { rejected } from './appended.ts';
import type { JournalDamage } from './damage.ts';
import type {
  Appended,
  Claim,
  Durability,
  Journal,
  RecoveredBlock,
  Sealed,
  SealedBlock,
  SealedBlocks,
} from './journal.ts';
import { openRedis } from './open-redis.ts';
import { checkedBlock } from './read-sealed.ts';
import { type IsStart, loggedBlocks, type ReadBlock, sealedBlocks, sealedBlocksFrom } from './redis-blocks.ts';
import type { RedisConnection } from './redis-connection.ts';
import { idText, parseId, ROOMS_KEY, readEntry } from './redis-entries.ts';
import type { RedisRoom } from './redis-room.ts';
import { RedisRooms } from './redis-rooms.ts';
import { checkSettings, type RedisSettings, readSettings } from './redis-settings.ts';
import { RedisStability, type Unstable } from './redis-stability.ts';
import { withoutPassword } from './redis-url.ts';
import { Spool } from './spool.ts';

export interface RedisJournalOptions {
  readonly url: string;
  readonly compression: Compression;
  readonly log: Logger;
  /** Called once for each piece of damage, when its copy is in Redis. */
  readonly onDamage: (damage: JournalDamage) => void;
  /** Another relay has the room from now on. */
  readonly onLost: (room: string, error: GametapeError) => void;
  /** From now on `stable` is worth something else. @default undefined */
  readonly onDurability?: (durability: Durability) => void;
  /** The same whenever this relay is started again, and of no other: it takes its own rooms back at once. */
  readonly relayId: string;
  /** Directory for copies of sealed blocks while a recording is finished. */
  readonly spoolDirectory: string;
  /** Takes a Redis whose settings may lose what it has acknowledged. @default false */
  readonly acceptsLoss?: boolean;
  /** A relay that says nothing for that long loses its rooms to whoever wants them, in milliseconds. @default 10000 */
  readonly leaseMs?: number;
  /** Longest time without an answer before a connection is taken for dead, in milliseconds. @default 1000 */
  readonly timeoutMs?: number;
  /** What may wait in memory for a Redis that is away; a room that waits beyond it is read-only. @default 64 MiB */
  readonly waitingBytes?: number;
  /** The same in milliseconds. @default 600000 */
  readonly waitingMs?: number;
}

const DEFAULTS = {
  acceptsLoss: false,
  leaseMs: 10_000,
  timeoutMs: 1_000,
  waitingBytes: 64 * 1024 * 1024,
  waitingMs: 600_000,
};
/** What `close` waits for a Redis that is away, at each of its steps: a relay has 10 s to stop (J7). */
const CLOSE_MS = 2_000;
const LEAVE_MS = 500;

/**
 * The journal in Redis streams, which several relays may share: each room has one owner at a time. PROTOCOL of the keys and
 * of ownership: ARCHITECTURE.md. While Redis is away nothing is acknowledged and nothing fails, up to a limit.
 */
export class RedisJournal implements Journal {
  readonly #options: RedisJournalOptions & typeof DEFAULTS;
  readonly #connection: RedisConnection;
  readonly #stability: RedisStability;
  readonly #rooms: RedisRooms;
  readonly #spool: Spool;
  readonly #looking: NodeJS.Timeout;
  #risks: readonly string[] = [];
  #isClosed = false;

  private constructor(
    options: RedisJournalOptions & typeof DEFAULTS,
    { connection, stability, spool }: { connection: RedisConnection; stability: RedisStability; spool: Spool },
  ) {
    this.#options = options;
    this.#connection = connection;
    this.#stability = stability;
    this.#spool = spool;
    const { relayId, leaseMs } = options;
    const token = `${relayId}/${hostname()}/${process.pid}/${randomUUID()}`;
    const claimant = { relayId, token, leaseMs };
    const onAccepted = (unstable: Unstable) => stability.add(unstable);
    this.#rooms = new RedisRooms({ ...options, connection, claimant, onAccepted });
    this.#looking = setInterval(() => void this.#lookAtSettings(), leaseMs / 3);
  }

  /** @throws GametapeError `UNREACHABLE`, `NOT_ALLOWED` for a Redis that may lose what it acknowledges */
  static async open(options: RedisJournalOptions): Promise<RedisJournal> {
    const all = { ...DEFAULTS, ...options };
    const { url, log, timeoutMs } = all;
    const name = withoutPassword(url);
    let journal: RedisJournal | undefined;
    const onBack = () => {
      if (journal) void journal.#resync();
    };
    const connection = await openRedis(url, { log, timeoutMs, onBack });
    try {
      const settings = await readSettings(connection);
      checkSettings(settings, name, all.acceptsLoss);
      const spool = new Spool(all.spoolDirectory, all.compression);
      await spool.clear();
      const stability = new RedisStability(connection, settings.durability);
      journal = new RedisJournal(all, { connection, stability, spool });
      journal.#noteRisks(settings.risks);
      log.info({ redis: name, version: settings.version, durability: settings.durability }, 'journal in redis');
      return journal;
    } catch (error) {
      await connection.close();
      if (error instanceof GametapeError) throw error;
      const hint =
        'Its user needs INFO, the commands for streams, hashes, sets and strings, and CLUSTER SLOTS in a cluster.';
      throw new GametapeError('NOT_ALLOWED', `${name}: ${(error as Error).message}`, { cause: error, hint });
    }
  }

  get durability(): Durability {
    return this.#stability.durability;
  }

  claim(room: string): Promise<Claim> {
    return this.#rooms.claim(room);
  }

  takeOver(): Promise<readonly Claim[]> {
    return this.#rooms.takeOver();
  }

  async knows(room: string): Promise<boolean> {
    return Number(await this.#rooms.ask(['SISMEMBER', ROOMS_KEY, room])) === 1;
  }

  begin(room: string, recordingId: string): void {
    this.#rooms.begin(room, recordingId);
  }

  append(recordingId: string, block: Uint8Array, lastSeq: number): Appended {
    const room = this.#rooms.with(recordingId);
    if (this.#isClosed) return rejected(closed());
    return room.append(recordingId, block, lastSeq);
  }

  async seal(recordingId: string, block: Uint8Array, lastSeq: number): Promise<Sealed> {
    const room = this.#rooms.with(recordingId);
    if (this.#isClosed) throw closed();
    if (room.over) throw room.over;
    const covered = room.log.covered(recordingId, lastSeq);
    try {
      await room.checkpoints.put(recordingId, block, lastSeq);
    } catch (error) {
      throw room.over ?? failure(room, error);
    }
    const stable = new Promise<void>((resolve, reject) => {
      if (this.#isClosed) reject(closed());
      this.#stability.add({ stabilize: resolve, reject });
    });
    stable.catch(() => undefined);
    await room.log.sealed(recordingId, covered);
    return { stable };
  }

  async *recover(recordingId: string, isStart?: IsStart): AsyncGenerator<RecoveredBlock> {
    const room = this.#rooms.find(recordingId);
    if (!room) return;
    await room.checkpoints.settled();
    const reading = { ...this.#options, connection: this.#connection, keys: room.keys };
    for await (const { entry } of sealedBlocks(reading, recordingId)) {
      room.checkpoints.adoptFirst(recordingId, entry);
      break;
    }
    let sealedSeq = 0;
    for await (const block of sealedBlocks(reading, recordingId, isStart)) {
      room.checkpoints.adopt(recordingId, block.entry.id);
      const { events, lastSeq } = block.header;
      // It was written again, and those that follow it have come already.
      if (events > 0 && lastSeq <= sealedSeq) continue;
      sealedSeq = Math.max(sealedSeq, lastSeq);
      yield block;
    }
    yield* loggedBlocks(reading, recordingId, sealedSeq);
  }

  /** Redis gives an entry whole or not at all: they are read, a page at a time, and only their headers kept. */
  async *sealedBlocks(recordingId: string, after?: SealedBlock): AsyncGenerator<SealedBlock> {
    const room = this.#rooms.find(recordingId);
    if (!room) return;
    await room.checkpoints.settled();
    const reading = { ...this.#options, connection: this.#connection, keys: room.keys, onDamage: undefined };
    let lastSeq = after?.header.lastSeq ?? 0;
    for await (const { header, entry } of sealedBlocksFrom(reading, recordingId, after && parseId(after.place))) {
      if (header.events === 0 || header.lastSeq <= lastSeq) continue;
      lastSeq = header.lastSeq;
      yield { header, place: idText(entry.id) };
    }
  }

  async readSealed({ header, place }: SealedBlock): Promise<Uint8Array> {
    const { recordingId } = header;
    const room = this.#rooms.find(recordingId);
    const entry = room && (await readEntry(this.#connection, room.keys.checkpoints, parseId(place)));
    if (!entry?.block) throw new GametapeError('NOT_FOUND', `recording ${recordingId}: it is not here any more`);
    return checkedBlock(entry.block, header, this.#options.compression);
  }

  async sealed(recordingId: string): Promise<SealedBlocks> {
    const room = this.#rooms.with(recordingId);
    await room.checkpoints.settled();
    const reading = { ...this.#options, connection: this.#connection, keys: room.keys };
    const blocks = sealedBlocks(reading, recordingId);
    const path = await this.#spool.write(
      recordingId,
      noted(blocks, ({ id }) => room.checkpoints.adopt(recordingId, id)),
    );
    if (path === undefined) {
      throw new GametapeError('NOT_FOUND', `recording ${recordingId}: nothing of it is sealed`);
    }
    return { kind: 'file', path };
  }

  async discard(recordingId: string): Promise<void> {
    const room = this.#rooms.find(recordingId);
    if (!room) return;
    await room.checkpoints.settled();
    // A mark that only the owner can make: whoever owns the room after a crash goes on deleting where this one stopped.
    await room.append(recordingId, undefined, Number.MAX_SAFE_INTEGER).accepted;
    await this.#spool.remove(recordingId);
    await room.erase(recordingId);
    await this.#rooms.forget(room, recordingId);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#rooms.stop();
    clearInterval(this.#looking);
    const rooms = this.#rooms.all;
    await before(CLOSE_MS, Promise.all(rooms.map((room) => room.settled())));
    await before(CLOSE_MS, this.#stability.settled());
    await before(LEAVE_MS, Promise.all(rooms.map((room) => room.leave(closed()))));
    this.#stability.close(closed());
    await this.#connection.close();
  }

  /** Settings may be others, and what had been acknowledged may be gone. */
  async #resync(): Promise<void> {
    this.#stability.restart();
    for (const room of this.#rooms.all) void room.resync();
    await this.#lookAtSettings();
  }

  /** Somebody may change them while Redis runs. */
  async #lookAtSettings(): Promise<void> {
    let settings: RedisSettings;
    try {
      settings = await readSettings(this.#connection);
    } catch {
      // Away: it is asked when it is back.
      return;
    }
    this.#noteRisks(settings.risks);
    const { durability } = settings;
    const before = this.#stability.durability;
    if (durability === before || this.#isClosed) return;
    this.#stability.restart(durability);
    this.#options.log.error(
      { redis: this.#connection.name, before, durability },
      'stable is worth something else from now on',
    );
    this.#options.onDurability?.(durability);
  }

  #noteRisks(risks: readonly string[]): void {
    const redis = this.#connection.name;
    for (const risk of risks) {
      if (!this.#risks.includes(risk))
        this.#options.log.warn({ redis, risk }, 'redis may lose what it has acknowledged');
    }
    this.#risks = risks;
  }
}

async function* noted(
  blocks: AsyncIterable<ReadBlock>,
  note: (entry: ReadBlock['entry']) => void,
): AsyncGenerator<ReadBlock> {
  for await (const block of blocks) {
    note(block.entry);
    yield block;
  }
}

async function before(limitMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work.catch(() => undefined), late]);
  clearTimeout(timer);
}

function failure(room: RedisRoom, cause: unknown): GametapeError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new GametapeError('JOURNAL_FAILED', `room ${room.name}: redis: ${reason}`, { cause });
}

function closed(): GametapeError {
  return new GametapeError('JOURNAL_FAILED', 'the journal is closed');
}
