import { GametapeError, isGametapeError } from '@gametape/shared';
import type { ConnectOptions } from '../api.ts';
import { timeoutOf } from '../check-options.ts';
import type { Platform } from '../platform/platform.ts';
import { inTime, openStore } from './open-store.ts';
import { SessionSpool, type SpoolSource } from './session-spool.ts';
import type { Spool, SpoolStore } from './spool.ts';
import { readSpool, type SpoolContent, SpoolRecords, tailOf } from './spool-records.ts';
import { deliverTail } from './tail-delivery.ts';

/** What could not be recorded is kept for so long, and so many of them at most. */
const KEPT_MS = 7 * 24 * 60 * 60 * 1_000;
const MAX_KEPT = 32;

/** What becomes of the spool in one session. */
export interface Spooling {
  /** Events of earlier instances that are in the recording now, and tails that are kept because they never can be. */
  readonly recovered: number;
  readonly kept: number;
  /** What went wrong so far: nobody could be told before there was a session. */
  readonly errors: readonly GametapeError[];
  /** Undefined when nothing can be kept. */
  begin(source: SpoolSource): SessionSpool | undefined;
  end(spool: SessionSpool | undefined, isDone: boolean): Promise<void>;
}

/**
 * Looks for what earlier instances of this player left in this room, has it recorded first, and begins a spool for the next one.
 * Where the spool itself fails, there is none.
 *
 * @throws GametapeError `UNREACHABLE`, `TIMED_OUT` and what else keeps a player from joining: then nothing has changed
 */
export async function openSpooling(platform: Platform, options: ConnectOptions, instance: string): Promise<Spooling> {
  return await new SpoolingSession(platform, options, instance).open();
}

class SpoolingSession implements Spooling {
  readonly errors: GametapeError[] = [];
  recovered = 0;
  kept = 0;
  readonly #platform: Platform;
  readonly #options: ConnectOptions;
  readonly #instance: string;
  #store: SpoolStore | undefined;
  #spool: Spool | undefined;

  constructor(platform: Platform, options: ConnectOptions, instance: string) {
    this.#platform = platform;
    this.#options = options;
    this.#instance = instance;
  }

  async open(): Promise<this> {
    const { room, player } = this.#options;
    try {
      await this.#try(async () => {
        this.#store = await openStore(this.#platform, this.#options.spool);
        for (const spool of await this.#discardOld(this.#store)) await this.#recover(spool);
        this.#spool = await inTime(
          this.#store.create({ room, player, instance: this.#instance, createdMs: Date.now() }),
        );
      });
    } catch (error) {
      await this.#store?.close();
      throw error;
    }
    return this;
  }

  begin(source: SpoolSource): SessionSpool | undefined {
    return this.#spool && new SessionSpool(this.#spool, source, this.#platform.crc32);
  }

  async end(spool: SessionSpool | undefined, isDone: boolean): Promise<void> {
    try {
      // A session that is over does not wait for a store that does not answer.
      if (spool) await inTime(spool.end(isDone));
      else if (this.#spool) await inTime(this.#spool.remove());
    } finally {
      if (this.#store) await inTime(this.#store.close());
    }
  }

  /** What the store does wrong costs the spool and not the session. */
  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isGametapeError(error, 'SPOOL_FAILED')) throw error;
      this.errors.push(error);
    }
  }

  /** The tails of this player in this room, after what is too old, of whomever, has been discarded. */
  async #discardOld(store: SpoolStore): Promise<Spool[]> {
    const { room, player } = this.#options;
    const oldestMs = Date.now() - KEPT_MS;
    const isOurs = (name: Spool['name']) => name.room === room && name.player === player;
    const found = await inTime(store.takeOver((name) => isOurs(name) || name.createdMs < oldestMs));
    const ours = found.filter(({ name }) => isOurs(name));
    const tooMany = new Set(ours.slice(0, Math.max(0, ours.length - MAX_KEPT)));
    for (const spool of found) {
      const isOld = spool.name.createdMs < oldestMs;
      if (isOld || tooMany.has(spool))
        await this.#discard(spool, isOld ? 'older than 7 days' : `more than ${MAX_KEPT} are kept`);
    }
    return ours.filter((spool) => spool.name.createdMs >= oldestMs && !tooMany.has(spool));
  }

  async #discard(spool: Spool, reason: string): Promise<void> {
    const content = await this.#read(spool);
    await inTime(spool.remove());
    if (tailOf(content).length > 0 || content.isForeign)
      this.errors.push(new GametapeError('EVENTS_LOST', `${describe(spool, content)}: discarded, ${reason}`));
  }

  async #recover(spool: Spool): Promise<void> {
    const content = await this.#read(spool);
    const messages = tailOf(content);
    const { starts, isForeign, refusal, damagedBytes, stable } = content;
    const start = starts.at(-1)?.start;
    if (refusal) {
      this.kept++;
      return;
    }
    // A process that died between two writes leaves half a record, or none.
    const isWhole = content.isSettled && spool.isImmediate && damagedBytes === 0;
    const isEmpty = messages.length === 0 && !(isWhole && stable > 0);
    if (!isForeign && (isEmpty || (!start && messages.length === 0))) {
      this.#tellDamage(spool, content);
      await inTime(spool.remove());
      return;
    }
    if (!start) {
      const reason = isForeign ? 'another version of the SDK has written it' : 'its beginning is damaged';
      await this.#keep(spool, content, new GametapeError(isForeign ? 'VERSION_UNKNOWN' : 'DAMAGED', reason));
      return;
    }
    const { url, token } = this.#options;
    const timeoutMs = timeoutOf(this.#options.timeoutMs);
    try {
      const { recovered, lost } = await deliverTail(this.#platform, content, start, { url, token, timeoutMs, isWhole });
      this.recovered += recovered;
      if (lost) await this.#keep(spool, content, lost);
      else {
        this.#tellDamage(spool, content);
        await inTime(spool.remove());
      }
    } catch (error) {
      if (!isGametapeError(error) || !REFUSALS.has(error.code)) throw error;
      if (messages.length === 0) await inTime(spool.remove());
      else await this.#keep(spool, content, error);
    }
  }

  /** What was damaged at its end, nobody can name: a hole before something intact is a gap of the recording. */
  #tellDamage(spool: Spool, content: SpoolContent): void {
    const { damagedBytes } = content;
    if (damagedBytes === 0) return;
    const message = `${describe(spool, content)}: ${damagedBytes} bytes were damaged, its last events may be missing`;
    this.errors.push(new GametapeError('EVENTS_LOST', message));
  }

  async #read(spool: Spool): Promise<SpoolContent> {
    return readSpool(await inTime(spool.read()), this.#platform.crc32);
  }

  /** It cannot be recorded: it stays where it is, marked, and whoever plays is told. */
  async #keep(spool: Spool, content: SpoolContent, reason: GametapeError): Promise<void> {
    this.kept++;
    const message = `${describe(spool, content)}: kept, not recorded: ${reason.message}`;
    this.errors.push(new GametapeError('TAIL_KEPT', message, { cause: reason }));
    if (content.isForeign) return;
    const records = new SpoolRecords(this.#platform.crc32);
    records.refused(reason);
    const last = (await inTime(spool.read())).at(-1)?.number ?? 1;
    spool.append(last, records.take());
    await inTime(spool.written());
  }
}

/** What a relay says for good: to ask again would change nothing. */
const REFUSALS: ReadonlySet<string> = new Set([
  'ROOM_ENDED',
  'SUPERSEDED',
  'BAD_MESSAGE',
  'BAD_EVENT',
  'BAD_STATE',
  'BAD_VALUE',
  'BAD_ID',
  'LIMIT_EXCEEDED',
  'PROFILE_MISMATCH',
]);

/** Whose tail it is and what is in it. */
function describe({ name }: Spool, content: SpoolContent): string {
  const { starts, isForeign } = content;
  const messages = tailOf(content);
  const whose = `what ${name.player} left in room ${name.room} (instance ${name.instance})`;
  const [first] = messages;
  const last = messages.at(-1);
  if (isForeign || !first || !last) return whose;
  const recordingId = starts.at(-1)?.start.head.recordingId ?? 'unknown';
  const times = `${new Date(first.wallMs).toISOString()} to ${new Date(last.wallMs).toISOString()}`;
  return `${whose}, events ${first.firstPseq} to ${last.lastPseq} of recording ${recordingId}, ${times}`;
}
