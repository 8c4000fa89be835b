import { GametapeError, recordingIdBytes } from '@gametape/shared';
import type { Logger } from '../log.ts';
import type { Claim } from './journal.ts';
import type { Claimant } from './redis-claim.ts';
import type { RedisConnection } from './redis-connection.ts';
import { ROOMS_KEY, readPatiently } from './redis-entries.ts';
import { giveRoomUp, unfinishedOf } from './redis-inventory.ts';
import { RedisRoom } from './redis-room.ts';
import type { Unstable } from './redis-stability.ts';

const CLAIMED_AT_ONCE = 16;

export interface RedisRoomsOptions {
  readonly connection: RedisConnection;
  readonly claimant: Claimant;
  readonly log: Logger;
  readonly waitingBytes: number;
  readonly waitingMs: number;
  readonly onAccepted: (unstable: Unstable) => void;
  readonly onLost: (room: string, error: GametapeError) => void;
}

/** The rooms that this process owns: how it comes by them, keeps them and gives them up. */
export class RedisRooms {
  readonly #options: RedisRoomsOptions;
  readonly #rooms = new Map<string, RedisRoom>();
  readonly #claiming = new Map<string, Promise<Claim>>();
  readonly #releasing = new Map<string, Promise<void>>();
  readonly #byRecording = new Map<string, RedisRoom>();
  readonly #renewing: NodeJS.Timeout;

  constructor(options: RedisRoomsOptions) {
    this.#options = options;
    this.#renewing = setInterval(() => this.#renew(), options.claimant.leaseMs / 3);
  }

  get all(): readonly RedisRoom[] {
    return [...this.#rooms.values()];
  }

  /** The room of a recording that is begun or unfinished. */
  find(recordingId: string): RedisRoom | undefined {
    return this.#byRecording.get(recordingId);
  }

  /** The same for a caller that knows that there is one. @throws GametapeError `BAD_ID`, TypeError */
  with(recordingId: string): RedisRoom {
    const room = this.#byRecording.get(recordingId);
    if (room) return room;
    recordingIdBytes(recordingId);
    throw new TypeError(`recording ${recordingId} is not begun`);
  }

  /** As `Journal.claim`. */
  async claim(name: string): Promise<Claim> {
    const claiming = this.#claiming.get(name);
    if (claiming) {
      const { epoch } = await claiming;
      return { epoch, unfinished: [] };
    }
    const owned = this.#rooms.get(name);
    // One that has failed begins anew with what Redis has (J5).
    if (owned && !owned.over) {
      owned.isWanted = true;
      return { epoch: owned.epoch, unfinished: [] };
    }
    const making = this.#claim(name).finally(() => this.#claiming.delete(name));
    this.#claiming.set(name, making);
    return await making;
  }

  /** As `Journal.takeOver`. */
  async takeOver(): Promise<readonly Claim[]> {
    const names = (await this.ask(['SMEMBERS', ROOMS_KEY])) as unknown[];
    const waiting = names.map(String).filter((name) => !this.#rooms.has(name) && !this.#claiming.has(name));
    const claims: Claim[] = [];
    const takeSome = async () => {
      for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
        // Another relay has most of them; one that cannot be claimed for now is tried again the next time.
        const claim = await this.claim(name).catch(() => undefined);
        if (claim && claim.unfinished.length > 0) claims.push(claim);
      }
    };
    await Promise.all(Array.from({ length: CLAIMED_AT_ONCE }, takeSome));
    return claims;
  }

  /** As `Journal.begin`. */
  begin(name: string, recordingId: string): void {
    recordingIdBytes(recordingId);
    const room = this.#rooms.get(name);
    if (!room) throw new TypeError(`begin: room ${name} is not claimed`);
    room.isWanted = false;
    if (room.recordings.has(recordingId)) return;
    this.#learn(room, recordingId);
    // What fails here is made up for when its first block is sealed: the log names it until then.
    this.#options.connection.command(['HSETNX', room.keys.recordings, recordingId, '']).catch(() => undefined);
  }

  /** A recording of the room is finished, and nothing of it is left. */
  async forget(room: RedisRoom, recordingId: string): Promise<void> {
    this.#byRecording.delete(recordingId);
    if (room.recordings.size === 0 && !room.isWanted) await this.#release(room);
  }

  /** Sends a command that may be carried out twice. @throws GametapeError `JOURNAL_FAILED` */
  async ask(args: string[]): Promise<unknown> {
    try {
      return await readPatiently(this.#options.connection, args);
    } catch (cause) {
      throw new GametapeError('JOURNAL_FAILED', `redis: ${(cause as Error).message}`, { cause });
    }
  }

  /** Nothing is claimed, renewed or given up any more. */
  stop(): void {
    clearInterval(this.#renewing);
  }

  async #claim(name: string): Promise<Claim> {
    await this.#releasing.get(name);
    const { connection, onLost } = this.#options;
    let room: RedisRoom;
    let unfinished: readonly string[];
    try {
      const lost = (it: RedisRoom, error: GametapeError) => {
        if (this.#rooms.get(name) === it) this.#rooms.delete(name);
        onLost(name, error);
      };
      room = await RedisRoom.claim(name, { ...this.#options, onLost: lost });
      unfinished = await unfinishedOf(connection, room);
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
    this.#byRecording.set(recordingId, room);
  }

  #renew(): void {
    const { waitingBytes, waitingMs } = this.#options;
    const rooms = this.all;
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
    if (this.#rooms.get(room.name) !== room) return Promise.resolve();
    const { connection } = this.#options;
    this.#rooms.delete(room.name);
    const releasing = giveRoomUp(connection, room)
      .catch(() => undefined)
      .finally(() => this.#releasing.delete(room.name));
    this.#releasing.set(room.name, releasing);
    return releasing;
  }
}
