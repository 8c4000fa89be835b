import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type Compression, GametapeError, recordingIdBytes } from '@gametape/shared';
import type { Logger } from '../log.ts';
import { rejected } from './appended.ts';
import type { JournalDamage } from './damage.ts';
import type { Appended, Claim, Durability, Journal, RecoveredBlock, Sealed, SealedBlocks } from './journal.ts';
import { loggedBlocks, sealedBlocks } from './redis-blocks.ts';
import type { Claimant } from './redis-claim.ts';
import { RedisConnection } from './redis-connection.ts';
import { ROOMS_KEY, readPatiently } from './redis-entries.ts';
import { giveRoomUp, unfinishedOf } from './redis-inventory.ts';
import { RedisRoom } from './redis-room.ts';
import { checkSettings, readSettings } from './redis-settings.ts';
import { RedisStability } from './redis-stability.ts';
import { parseRedisUrl, withoutPassword } from './redis-url.ts';
import { Spool } from './spool.ts';

export interface RedisJournalOptions {
  readonly url: string;
  readonly compression: Compression;
  readonly log: Logger;
  /** Called once for each piece of damage, when its copy is in Redis. */
  readonly onDamage: (damage: JournalDamage) => void;
  /** Another relay has the room from now on. */
  readonly onLost: (room: string, error: GametapeError) => void;
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
/** What `close` waits for a Redis that is away. */
const CLOSE_MS = 5_000;
const CLAIMED_AT_ONCE = 16;

/**
 * The journal in Redis streams, which several relays may share: each room has one owner at a time. PROTOCOL of the keys and
 * of ownership: ARCHITECTURE.md. While Redis is away nothing is acknowledged and nothing fails, up to a limit.
 */
export class RedisJournal implements Journal {
  readonly #options: RedisJournalOptions & typeof DEFAULTS;
  readonly #claimant: Claimant;
  readonly #rooms = new Map<string, RedisRoom>();
  readonly #claiming = new Map<string, Promise<Claim>>();
  readonly #roomOf = new Map<string, RedisRoom>();
  readonly #releasing = new Map<string, Promise<void>>();
  readonly #spool: Spool;
  readonly #renewing: NodeJS.Timeout;
  #connection!: RedisConnection;
  #stability!: RedisStability;
  #isClosed = false;

  private constructor(options: RedisJournalOptions & typeof DEFAULTS) {
    this.#options = options;
    const { relayId, leaseMs, spoolDirectory, compression } = options;
    const token = `${relayId}/${hostname()}/${process.pid}/${randomUUID()}`;
    this.#claimant = { relayId, token, leaseMs };
    this.#spool = new Spool(spoolDirectory, compression);
    this.#renewing = setInterval(() => this.#renew(), leaseMs / 3);
  }

  /** @throws GametapeError `UNREACHABLE`, `NOT_ALLOWED` for a Redis that may lose what it acknowledges */
  static async open(options: RedisJournalOptions): Promise<RedisJournal> {
    const journal = new RedisJournal({ ...DEFAULTS, ...options });
    try {
      await journal.#open();
      return journal;
    } catch (error) {
      await journal.close();
      throw error;
    }
  }

  get durability(): Durability {
    return this.#stability.durability;
  }

  async claim(room: string): Promise<Claim> {
    const claiming = this.#claiming.get(room);
    if (claiming) {
      const { epoch } = await claiming;
      return { epoch, unfinished: [] };
    }
    await this.#releasing.get(room);
    const owned = this.#rooms.get(room);
    if (owned) {
      owned.isWanted = true;
      return { epoch: owned.epoch, unfinished: [] };
    }
    const making = this.#claim(room).finally(() => this.#claiming.delete(room));
    this.#claiming.set(room, making);
    return await making;
  }

  async takeOver(): Promise<readonly Claim[]> {
    const names = (await this.#ask(['SMEMBERS', ROOMS_KEY])) as unknown[];
    const waiting = names.map(String).filter((name) => !this.#rooms.has(name) && !this.#claiming.has(name));
    const claims: Claim[] = [];
    const takeSome = async () => {
      for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
        const claim = await this.claim(name).catch(() => undefined);
        if (claim && claim.unfinished.length > 0) claims.push(claim);
      }
    };
    await Promise.all(Array.from({ length: CLAIMED_AT_ONCE }, takeSome));
    return claims;
  }

  async knows(room: string): Promise<boolean> {
    return Number(await this.#ask(['SISMEMBER', ROOMS_KEY, room])) === 1;
  }

  begin(room: string, recordingId: string): void {
    recordingIdBytes(recordingId);
    const owned = this.#rooms.get(room);
    if (!owned) throw new TypeError(`begin: room ${room} is not claimed`);
    if (owned.recordings.has(recordingId)) return;
    this.#learn(owned, recordingId);
    owned.isWanted = false;
    // What fails here is made up for when its first block is sealed: the log names it until then.
    this.#connection.command(['HSETNX', owned.keys.recordings, recordingId, '']).catch(() => undefined);
  }

  append(recordingId: string, block: Uint8Array, lastSeq: number): Appended {
    const room = this.#roomWith(recordingId);
    if (this.#isClosed) return rejected(closed());
    return room.append(recordingId, block, lastSeq);
  }

  async seal(recordingId: string, block: Uint8Array, lastSeq: number): Promise<Sealed> {
    const room = this.#roomWith(recordingId);
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
    await room.log.release(covered);
    return { stable };
  }

  async *recover(recordingId: string): AsyncGenerator<RecoveredBlock> {
    const room = this.#roomOf.get(recordingId);
    if (!room) return;
    await room.checkpoints.settled();
    const reading = { ...this.#options, connection: this.#connection, keys: room.keys };
    let sealedSeq = 0;
    for await (const block of sealedBlocks(reading, recordingId)) {
      const { entry, header } = block;
      room.checkpoints.adopt(recordingId, entry.id, entry.block, header.lastSeq);
      sealedSeq = Math.max(sealedSeq, header.lastSeq);
      yield block;
    }
    yield* loggedBlocks(reading, recordingId, sealedSeq);
  }

  async sealed(recordingId: string): Promise<SealedBlocks> {
    const room = this.#roomWith(recordingId);
    await room.checkpoints.settled();
    const reading = { ...this.#options, connection: this.#connection, keys: room.keys };
    const path = await this.#spool.write(recordingId, sealedBlocks(reading, recordingId));
    if (path === undefined) {
      throw new GametapeError('NOT_FOUND', `recording ${recordingId}: nothing of it is sealed`);
    }
    return { kind: 'file', path };
  }

  async discard(recordingId: string): Promise<void> {
    const room = this.#roomOf.get(recordingId);
    if (!room) return;
    await room.checkpoints.settled();
    // A mark that only the owner can make: whoever owns the room after a crash goes on deleting where this one stopped.
    await room.append(recordingId, undefined, Number.MAX_SAFE_INTEGER).accepted;
    await this.#spool.remove(recordingId);
    await room.erase(recordingId);
    this.#roomOf.delete(recordingId);
    if (room.recordings.size === 0 && !room.isWanted) await this.#release(room);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#renewing);
    const rooms = [...this.#rooms.values()];
    if (this.#connection) {
      await before(CLOSE_MS, Promise.all(rooms.map((room) => room.settled())));
      await before(CLOSE_MS, this.#stability?.settled() ?? Promise.resolve());
      await before(1_000, Promise.all(rooms.map((room) => room.leave())));
    }
    for (const room of rooms) room.end(closed());
    this.#stability?.close(closed());
    await this.#connection?.close();
  }

  async #open(): Promise<void> {
    const { url, log, timeoutMs, acceptsLoss } = this.#options;
    const name = withoutPassword(url);
    const redis = parseRedisUrl(url);
    this.#connection = await RedisConnection.open({ redis, name, log, timeoutMs, onBack: () => void this.#resync() });
    const settings = await readSettings(this.#connection);
    if (!acceptsLoss) checkSettings(settings, name);
    for (const risk of settings.risks) log.warn({ redis: name, risk }, 'redis may lose what it has acknowledged');
    this.#stability = new RedisStability(() => this.#connection, settings.durability);
    await this.#spool.clear();
    log.info({ redis: name, version: settings.version, durability: settings.durability }, 'journal in redis');
  }

  async #claim(name: string): Promise<Claim> {
    const { log, onLost } = this.#options;
    let room: RedisRoom;
    let unfinished: readonly string[];
    try {
      room = await RedisRoom.claim(name, {
        connection: this.#connection,
        claimant: this.#claimant,
        log,
        onAccepted: (unstable) => this.#stability.add(unstable),
        onLost: (lost, error) => {
          if (this.#rooms.get(name) === lost) this.#rooms.delete(name);
          onLost(name, error);
        },
      });
      unfinished = await unfinishedOf(this.#connection, room);
    } catch (cause) {
      if (cause instanceof GametapeError) throw cause;
      throw new GametapeError('JOURNAL_FAILED', `room ${name}: redis: ${(cause as Error).message}`, { cause });
    }
    this.#rooms.set(name, room);
    for (const recordingId of unfinished) this.#learn(room, recordingId);
    return { epoch: room.epoch, unfinished };
  }

  #learn(room: RedisRoom, recordingId: string): void {
    room.recordings.add(recordingId);
    this.#roomOf.set(recordingId, room);
  }

  #roomWith(recordingId: string): RedisRoom {
    const room = this.#roomOf.get(recordingId);
    if (room) return room;
    // Throws for anything but a recording id (S1).
    recordingIdBytes(recordingId);
    throw new TypeError(`recording ${recordingId} is not begun`);
  }

  /** Settings may be others, and what had been acknowledged may be gone. */
  async #resync(): Promise<void> {
    try {
      this.#stability.restart((await readSettings(this.#connection)).durability);
    } catch {
      // Away again: it is asked the next time it is back.
      return;
    }
    for (const room of this.#rooms.values()) void room.resync();
  }

  #renew(): void {
    const { waitingBytes, waitingMs } = this.#options;
    const rooms = [...this.#rooms.values()];
    const isTooMuch = rooms.reduce((bytes, { log }) => bytes + log.unacceptedBytes, 0) > waitingBytes;
    for (const room of rooms) {
      if (room.waitingMs > waitingMs || (isTooMuch && room.log.unacceptedBytes > 0)) {
        room.end(new GametapeError('JOURNAL_FAILED', `room ${room.name}: redis has been away for too long`));
      }
      if (room.recordings.size > 0 || room.isWanted) void room.renew();
      else void this.#release(room);
      room.isWanted = false;
    }
  }

  #release(room: RedisRoom): Promise<void> {
    if (this.#rooms.get(room.name) !== room || this.#isClosed) return Promise.resolve();
    this.#rooms.delete(room.name);
    const releasing = giveRoomUp(this.#connection, room, this.#claimant)
      .catch(() => undefined)
      .finally(() => this.#releasing.delete(room.name));
    this.#releasing.set(room.name, releasing);
    return releasing;
  }

  async #ask(args: string[]): Promise<unknown> {
    try {
      return await readPatiently(this.#connection, args);
    } catch (cause) {
      throw new GametapeError('JOURNAL_FAILED', `redis: ${(cause as Error).message}`, { cause });
    }
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
