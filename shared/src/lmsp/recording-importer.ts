import { encodeBody } from '../body/encode-body.ts';
import { ProducerContext } from '../body/producer-context.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';
import { GametapeError, located } from '../errors.ts';
import type { DeltaOp, GameEvent, State, StateChange, TimelineEntry } from '../event.ts';
import { type Profile, profileNamed } from '../profile/profile.ts';
import { type ByteSink, type Compression, PORTABLE_COMPRESSION } from '../recording/byte-io.ts';
import { PlayClock } from '../recording/play-clock.ts';
import { RecordingWriter } from '../recording/recording-writer.ts';
import type { PlayerSummary, RecordingMeta, RecordingSummary } from '../recording/records.ts';
import { diff } from '../state/diff.ts';
import { captureJson, type Json, type JsonObject } from '../values/json.ts';

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
/** D4: a delta of at least this part of a keyframe's bytes is sent as the keyframe. */
const KEYFRAME_SHARE = 0.7;
/** Every so many deltas one carries the hash of its state. */
const CHECK_INTERVAL = 64;

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
    const producer = player.context.index;
    // Room time never goes back, whatever the timestamps do: seeking relies on it.
    const time = Math.max(Math.round(timestamp * MICROSECONDS), this.#last.time);
    if (event) this.#clock.observe(time, step.player, event);
    const rounds = time / MICROSECONDS !== timestamp || this.#clock.playTime(time) !== time;
    const hlc = this.#hlc(time, producer);
    try {
      const body = player.encode(step, time);
      const place = { seq: ++this.#seq, producer, pseq: ++player.context.pseq, time, hlc, stamp: time };
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
      const { context } = this.#player(id);
      // The source's numbers count differently, if only because the relay's own entries are now the player's.
      expected.set(id, numbered === null ? null : context.pseq + Math.max(0, numbered - received));
      for (const [firstPseq, lastPseq] of gaps) {
        this.#writer.addGap({ producer: context.index, firstPseq, lastPseq, reason: 'stated by the imported file' });
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
    const player = new PlayerEncoder(new ProducerContext(this.#profile, identity), this.#compression);
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
  readonly context: ProducerContext;
  readonly #compression: Compression;
  readonly #writer = new ByteWriter(1_024);
  #previous: State | undefined;
  #deltas = 0;

  constructor(context: ProducerContext, compression: Compression) {
    this.context = context;
    this.#compression = compression;
  }

  encode({ event, state: next }: ImportedStep, stamp: number): Uint8Array {
    const { state } = this.context;
    const ops = this.#previous === undefined ? undefined : this.#diff(this.#previous, next, stamp);
    this.#previous = next;
    if (ops?.length === 0) return this.#write({ ...(event && { event }), ...(!event && { change: delta([]) }) });
    if (ops === undefined || !this.#isSmaller(ops, next)) {
      const change = keyframe(next);
      state.apply(change, stamp);
      return this.#write({ ...(event && { event }), change });
    }
    const ends = new Map(ops.map(({ key }) => [key, state.editEnd(key)]));
    state.apply(delta(ops), stamp);
    const check = ++this.#deltas % CHECK_INTERVAL === 0 ? state.hash(this.#compression.crc32) : undefined;
    return this.#write({ ...(event && { event }), change: delta(ops, check) }, (key) => ends.get(key) ?? 0);
  }

  #diff(previous: State, next: State, stamp: number): DeltaOp[] {
    const { state, vocabulary } = this.context;
    const { clockKeys } = vocabulary.profile;
    const base = { keys: () => Object.keys(previous), get: (key: string) => previous[key] };
    const ops = diff(base, next, clockKeys);
    state.stamp = stamp;
    for (const key of clockKeys) {
      const op = clockOp(key, { shown: state.get(key), before: previous[key], after: next[key] });
      if (op) ops.push(op);
    }
    return ops;
  }

  /** D4. Most deltas are so much smaller than the texts alone that the keyframe need not be made to know. */
  #isSmaller(ops: readonly DeltaOp[], next: State): boolean {
    const bytes = this.#measure(delta(ops));
    let least = 0;
    for (const value of Object.values(next)) least += typeof value === 'string' ? value.length : 1;
    return bytes < least * KEYFRAME_SHARE || bytes < this.#measure(keyframe(next)) * KEYFRAME_SHARE;
  }

  #measure(change: StateChange): number {
    const { vocabulary, state } = this.context;
    const mark = vocabulary.mark();
    encodeBody(this.#writer, vocabulary, { change }, { editEnd: (key) => state.editEnd(key), learn: true });
    vocabulary.reset(mark);
    const bytes = this.#writer.length;
    this.#writer.truncate(0);
    return bytes;
  }

  #write(body: { event?: GameEvent; change?: StateChange }, editEnd: (key: string) => number = () => 0): Uint8Array {
    encodeBody(this.#writer, this.context.vocabulary, body, { editEnd, learn: true });
    return this.#writer.take();
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

function delta(ops: readonly DeltaOp[], check?: number): StateChange {
  return { form: 'delta', ops, ...(check !== undefined && { check }) };
}

function keyframe(state: State): StateChange {
  return { form: 'keyframe', entries: Object.entries(state) };
}
