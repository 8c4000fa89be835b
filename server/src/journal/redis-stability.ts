import type { GametapeError } from '@gametape/shared';
import type { RedisConnection } from './redis-connection.ts';
import { parseInfo, type RedisSettings } from './redis-settings.ts';

/** Redis syncs every second, and may take up to another to notice that it has not. */
const SYNC_MS = 1_200;
const POLL_MS = 100;

/** What waits to be stable. */
export interface Unstable {
  stabilize(): void;
  reject(error: GametapeError): void;
}

/**
 * Decides when what Redis has acknowledged is stable. `always`: at once, it is synced before the reply. `everysec`: when two
 * looks at its append-only file, `SYNC_MS` apart and the first as long after the reply, have both found nothing that waits to be
 * written or synced. `no` and `memory` promise nothing that could be waited for: stable says no more than accepted, which is
 * what the durability in the welcome stands for.
 */
export class RedisStability {
  readonly #connection: RedisConnection;
  #durability: RedisSettings['durability'];
  #waiting: { readonly at: number; readonly unstable: Unstable }[] = [];
  /** When the file was last found in order. */
  #cleanAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(connection: RedisConnection, durability: RedisSettings['durability']) {
    this.#connection = connection;
    this.#durability = durability;
  }

  get durability(): RedisSettings['durability'] {
    return this.#durability;
  }

  /** The server may be another now, or its settings: looks at what was before count no more. */
  restart(durability: RedisSettings['durability'] = this.#durability): void {
    this.#durability = durability;
    this.#cleanAt = undefined;
  }

  /** Redis has just acknowledged it. */
  add(unstable: Unstable): void {
    if (this.#durability !== 'redis:everysec') {
      unstable.stabilize();
      return;
    }
    this.#waiting.push({ at: performance.now(), unstable });
    if (!this.#isClosed) this.#timer ??= setTimeout(() => void this.#poll(), POLL_MS);
  }

  /** Resolves when all that was added so far is stable. */
  async settled(): Promise<void> {
    if (this.#waiting.length === 0) return;
    await new Promise<void>((resolve, reject) => this.add({ stabilize: resolve, reject }));
  }

  close(error: GametapeError): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const { unstable } of this.#waiting.splice(0)) unstable.reject(error);
  }

  async #poll(): Promise<void> {
    const now = performance.now();
    if (this.#durability !== 'redis:everysec') this.#release(now);
    else await this.#look(now);
    const isIdle = this.#isClosed || this.#waiting.length === 0;
    if (isIdle) this.#cleanAt = undefined;
    this.#timer = isIdle ? undefined : setTimeout(() => void this.#poll(), POLL_MS);
  }

  async #look(now: number): Promise<void> {
    const oldest = this.#waiting[0]?.at ?? now;
    const isFirst = this.#cleanAt === undefined;
    if (now - (this.#cleanAt ?? oldest) < SYNC_MS) return;
    if (!(await this.#isClean())) return;
    if (!isFirst) this.#release((this.#cleanAt as number) - SYNC_MS);
    // One look is the second of what came before the last, and the first of what has come since.
    this.#cleanAt = now;
  }

  #release(upTo: number): void {
    const end = this.#waiting.findIndex(({ at }) => at > upTo);
    const stable = this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
    for (const { unstable } of stable) unstable.stabilize();
  }

  async #isClean(): Promise<boolean> {
    try {
      const infos = (await this.#connection.commandAll(['INFO', 'persistence'])).map(parseInfo);
      return infos.every(
        (info) =>
          info.get('aof_buffer_length') === '0' &&
          info.get('aof_pending_bio_fsync') === '0' &&
          info.get('aof_last_write_status') === 'ok',
      );
    } catch {
      return false;
    }
  }
}
