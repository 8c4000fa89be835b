import {
  type BlockReplay,
  LMSP_PROFILE,
  PlayClock,
  type ProducerContext,
  type Profile,
  profileNamed,
  type RecordingReader,
  type StateChange,
  type TimelineEntry,
  type TimelineStep,
} from '@gametape/shared';
import { PlayerTrack, type StateStep, TrailingState } from './diff-track.ts';

const MICROSECONDS = 1_000_000;
/** What may wait in one recording for the other to come to it. */
const MAX_WAITING_EVENTS = 8_192;
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
/** What an event takes besides its body. */
const EVENT_BYTES = 200;

/** One of the two recordings: read once, event by event, into the tracks of its players. */
export class DiffSide {
  readonly tracks = new Map<string, PlayerTrack>();
  readonly reader: RecordingReader;
  /** Events read so far. */
  events = 0;
  waitingEvents = 0;
  isAtEnd = false;
  readonly #profile: Profile;
  readonly #clock: PlayClock;
  readonly #players: ReadonlySet<string>;
  readonly #checkpoints: ReadonlyMap<number, readonly string[]>;
  readonly #blocks: AsyncGenerator<BlockReplay>;
  readonly #contexts = new Map<number, ProducerContext>();
  #steps: Generator<TimelineStep> | undefined;
  #waitingBytes = 0;

  constructor(reader: RecordingReader) {
    this.reader = reader;
    this.#profile = profileNamed(reader.meta.profile);
    this.#clock = reader.summary ? reader.playClock() : new PlayClock();
    this.#players = new Set([...reader.producers.values()].map(({ player }) => player));
    this.#checkpoints = namesByPlace(reader);
    this.#blocks = reader.replayBlocks(0);
  }

  get isFull(): boolean {
    return this.waitingEvents >= MAX_WAITING_EVENTS || this.#waitingBytes >= MAX_WAITING_BYTES;
  }

  track(player: string): PlayerTrack {
    const known = this.tracks.get(player);
    if (known) return known;
    // What a player of an LMSP room has who does not say it: the same that the seed's JSON shows.
    const initial = this.#profile.name === LMSP_PROFILE.name ? (this.#profile.initialState?.(player) ?? {}) : {};
    const isOver = () => this.isAtEnd || !this.#players.has(player);
    const track = new PlayerTrack(new TrailingState(this.#profile, initial), isOver);
    this.tracks.set(player, track);
    return track;
  }

  /** Reads one entry; resolves with the player whose event it was, if it was one. */
  async pull(): Promise<string | undefined> {
    this.#steps ??= await this.#nextBlock();
    const next = this.#steps?.next();
    if (next === undefined) return undefined;
    if (!next.done) return this.#read(next.value);
    this.#steps = undefined;
    return undefined;
  }

  take(player: string): ReturnType<PlayerTrack['take']> {
    const item = this.track(player).take();
    this.waitingEvents--;
    this.#waitingBytes -= item.bytes;
    return item;
  }

  /** Who waits most: where there is something to gain by not waiting any longer. */
  longestWaiting(): string | undefined {
    const waiting = [...this.tracks].filter(([, { length }]) => length > 0);
    return waiting.sort(([, a], [, b]) => b.length - a.length)[0]?.[0];
  }

  async #nextBlock(): Promise<Generator<TimelineStep> | undefined> {
    const { value: block } = await this.#blocks.next();
    if (block) return block.steps();
    this.isAtEnd = true;
    return undefined;
  }

  #read({ entry, body, context }: TimelineStep): string | undefined {
    const { event } = body;
    const { player } = context;
    const track = this.track(player);
    const step = this.#stateStep(body.change, context);
    const bytes = EVENT_BYTES + 2 * entry.body.length + (step.restore ? 2 * context.state.bytes : 0);
    if (!event) {
      const before = track.pendingBytes;
      track.addState(step, bytes);
      this.#waitingBytes += track.pendingBytes - before;
      return undefined;
    }
    if (!this.reader.summary) this.#clock.observe(entry.time, player, event);
    const index = this.events++;
    const checkpoints = this.#checkpoints.get(this.reader.summary ? index : entry.seq) ?? [];
    const { type, data } = event;
    track.add({ index, timeS: this.#secondsOf(entry), type, data, checkpoints, bytes }, step);
    this.waitingEvents++;
    this.#waitingBytes += bytes;
    return player;
  }

  /** A producer whose context is another object has started over from a keyframe of the file. */
  #stateStep(change: StateChange | undefined, context: ProducerContext): StateStep {
    const { index: producer, state } = context;
    const isKnown = this.#contexts.get(producer) === context;
    this.#contexts.set(producer, context);
    if (!isKnown && state.size > 0) return { producer, stamp: state.stamp, restore: [...state.entries()] };
    // Its hash, if it names one, was checked when it was read.
    const plain = change?.form === 'delta' ? { form: change.form, ops: change.ops } : change;
    return { producer, stamp: state.stamp, change: plain };
  }

  #secondsOf({ time, exact }: TimelineEntry): number {
    return exact !== undefined && Number.isFinite(exact) ? exact : this.#clock.playTime(time) / MICROSECONDS;
  }
}

/** By event index, which a recording knows once it is finished; before that by seq. */
function namesByPlace({ checkpoints, summary }: RecordingReader): Map<number, string[]> {
  const names = new Map<number, string[]>();
  for (const { name, eventIndex, seq } of checkpoints) {
    const place = summary ? eventIndex : seq;
    const here = names.get(place);
    if (here) here.push(name);
    else names.set(place, [name]);
  }
  return names;
}
