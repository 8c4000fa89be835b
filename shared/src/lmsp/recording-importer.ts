import { BodyEncoder } from '../body/body-encoder.ts';
import { GametapeError, located } from '../errors.ts';
import type { DeltaOp, GameEvent, State, TimelineEntry } from '../event.ts';
import { type Profile, profileNamed } from '../profile/profile.ts';
import { type ByteSink, type Compression, PORTABLE_COMPRESSION } from '../recording/byte-io.ts';
import { PlayClock } from '../recording/play-clock.ts';
import { RecordingWriter } from '../recording/recording-writer.ts';
import type { PlayerSummary, RecordingMeta, RecordingSummary } from '../recording/records.ts';
import { diff } from '../state/diff.ts';
import { captureJson, type Json, type JsonObject, jsonEqual } from '../values/json.ts';

/** What happened, to whom, when (seconds of play time), and that player's whole state after it. */
export interface ImportedStep {
  readonly timestamp: number;
  readonly player: string;
  /** Undefined for a change of the state alone. */
  readonly event?: GameEvent | undefined;
  /** Stays as it is from now on. */
  readonly state: State;
  /** Names that this point gets. */
  readonly checkpoints?: readonly string[] | undefined;
}

/** What the source knows of its end. */
export interface ImportedEnd {
  readonly durationS?: number;
  readonly outcome?: JsonObject | undefined;
  /** What the source says of its completeness; a player left out is taken to be complete. */
  readonly players?: readonly PlayerSummary[];
  /** True when the source ends before its end: then nobody is known to be complete. */
  readonly isCutOff?: boolean;
}

const MICROSECONDS = 1_000_000;
/** Every block may open with the keyframes of all of them. */
const MAX_PLAYERS = 1_000;

/**
 * Turns events with whole states, in the order they come, into a recording: states become deltas against the player's state
 * before (D1, D4), times whole microseconds with the exact timestamp beside them where that would round it (L2).
 *
 * Relies on checked input: events and states that come from the parsers of this folder.
 */
export class RecordingImporter {
  readonly #writer: RecordingWriter;
  readonly #profile: Profile;
  readonly #compression: Compression;
  readonly #players = new Map<string, PlayerEncoder>();
  readonly #clock = new PlayClock();
  #seq = 0;
  #events = 0;
  #last = { time: 0, hlc: 0, producer: 0 };

  /** @throws GametapeError `LIMIT_EXCEEDED` for a `meta` that is nested too deep or has too many values. */
  constructor(sink: ByteSink, meta: RecordingMeta, compression: Compression = PORTABLE_COMPRESSION) {
    this.#compression = compression;
    this.#profile = profileNamed(meta.profile);
    // It becomes one value of the file, whose depth and nodes are limited: what cannot be read must not be written.
    captureJson(meta, 'meta');
    this.#writer = new RecordingWriter(sink, meta, { compression: this.#compression });
  }

  /** @throws GametapeError `LIMIT_EXCEEDED`, `BAD_DELTA` naming the event, for a state that no recording can hold. */
  async add(step: ImportedStep): Promise<void> {
    const { timestamp, event } = step;
    const player = this.#player(step.player);
    const producer = player.index;
    // Room time never goes back, whatever the timestamps do: seeking relies on it.
    const time = Math.max(Math.round(timestamp * MICROSECONDS), this.#last.time);
    if (event) this.#clock.observe(time, step.player, event);
    const rounds = time / MICROSECONDS !== timestamp || this.#clock.playTime(time) !== time;
    const hlc = this.#hlc(time, producer);
    try {
      const body = player.encode(step, time);
      const place = { seq: ++this.#seq, producer, pseq: ++player.pseq, time, hlc, stamp: time };
      const entry: TimelineEntry = { ...place, ...(rounds && { exact: timestamp }), body };
      await this.#writer.add(entry);
      this.#last = { time, hlc, producer };
      if (event) this.#events++;
      const index = Math.max(0, this.#events - 1);
      for (const name of step.checkpoints ?? []) this.#writer.addCheckpoint(name, entry, index);
    } catch (error) {
      throw located(event ? `event ${this.#events}` : `step ${this.#seq}`, error);
    }
  }

  async finish({
    durationS = 0,
    outcome,
    players = [],
    isCutOff = false,
  }: ImportedEnd = {}): Promise<RecordingSummary> {
    const durationUs = Math.round(durationS * MICROSECONDS);
    const endedAt = Math.max(this.#last.time, Number.isSafeInteger(durationUs * 4) ? durationUs : 0);
    const expected = new Map<string, number | null>();
    for (const { id, expected: numbered, received, gaps } of players) {
      const player = this.#player(id);
      // The source's numbers count differently, if only because the relay's own entries are now the player's.
      expected.set(id, numbered === null ? null : player.pseq + Math.max(0, numbered - received));
      for (const [firstPseq, lastPseq] of gaps) {
        this.#writer.addGap({ producer: player.index, firstPseq, lastPseq, reason: 'stated by the imported file' });
      }
    }
    if (isCutOff) for (const id of this.#players.keys()) expected.set(id, null);
    return this.#writer.finish({ endedAt, expected, ...(outcome && { outcome }) });
  }

  #player(id: string): PlayerEncoder {
    const known = this.#players.get(id);
    if (known) return known;
    if (this.#players.size >= MAX_PLAYERS) {
      throw new GametapeError(
        'LIMIT_EXCEEDED',
        `player ${JSON.stringify(id.slice(0, 60))}: over ${MAX_PLAYERS} players`,
      );
    }
    const identity = { index: this.#players.size, player: id, instance: 'import' };
    const player = new PlayerEncoder(identity.index, this.#profile, this.#compression);
    this.#players.set(id, player);
    this.#writer.addProducer(identity);
    return player;
  }

  /** Keeps the order of the source among entries of one microsecond (T3). */
  #hlc(time: number, producer: number): number {
    if (time !== this.#last.time) return 0;
    return producer < this.#last.producer ? this.#last.hlc + 1 : this.#last.hlc;
  }
}

/** Encodes the bodies of one player, as its SDK would have. */
class PlayerEncoder {
  readonly index: number;
  /** Number of its last event. */
  pseq = 0;
  readonly #clockKeys: ReadonlySet<string>;
  readonly #bodies: BodyEncoder;
  #previous: State | undefined;

  constructor(index: number, profile: Profile, { crc32 }: Compression) {
    this.index = index;
    this.#clockKeys = profile.clockKeys;
    this.#bodies = new BodyEncoder(profile, crc32);
  }

  encode({ event, state: next }: ImportedStep, stamp: number): Uint8Array {
    // A change that changes nothing is still there to be written again.
    if (this.#previous === undefined || (!event && jsonEqual(this.#previous, next)))
      this.#bodies.replaceState(next, stamp);
    else this.#bodies.change(this.#diff(this.#previous, next, stamp), stamp);
    this.#previous = next;
    return this.#bodies.encode(event, stamp);
  }

  #diff(previous: State, next: State, stamp: number): DeltaOp[] {
    const { state } = this.#bodies;
    const base = { keys: () => Object.keys(previous), get: (key: string) => previous[key] };
    const ops = diff(base, next, this.#clockKeys);
    state.stamp = stamp;
    for (const key of this.#clockKeys) {
      const op = clockOp(key, { shown: state.get(key), before: previous[key], after: next[key] });
      if (op) ops.push(op);
    }
    return ops;
  }
}

/** What makes a clock key show `after`, given what following the clock has made of it (D5). */
function clockOp(
  key: string,
  { shown, before, after }: { shown: Json | undefined; before: Json | undefined; after: Json | undefined },
): DeltaOp | undefined {
  if (after === shown) return undefined;
  if (after === undefined) return { op: 'delete', key };
  // Standing still is told from following by what the source does, so that neither costs anything while it lasts.
  if (typeof after !== 'number' || typeof shown !== 'number' || after === before)
    return { op: 'set', key, value: after };
  const from = Math.round(shown * MICROSECONDS);
  const by = Math.round(after * MICROSECONDS) - from;
  const isExact = (from + by) / MICROSECONDS === after && Math.max(Math.abs(by), Math.abs(from + by)) < 2 ** 50;
  return isExact ? { op: 'add', key, by: [by] } : { op: 'set', key, value: after };
}
