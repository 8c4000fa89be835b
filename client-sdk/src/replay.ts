import type { State } from '@gametape/shared';
import type { Playhead, PlayheadEvents, ReplayEvent } from './api.ts';
import { Emitter } from './emitter.ts';
import { PlayPosition, type Standing } from './play-position.ts';
import type { Reel, ReelCursor, ReelStates, ReelStep } from './reel.ts';
import { type ReplayClock, SYSTEM_CLOCK } from './replay-clock.ts';
import { stepBack } from './step-back.ts';

/** Longest step of the clock in one frame, in milliseconds: after a stall the replay goes on where it was. */
const MAX_FRAME_MS = 100;
const [MIN_RATE, MAX_RATE] = [0.1, 16];

export interface ReplayOptions {
  /** @default the system's clock, every 16 ms */
  readonly clock?: ReplayClock;
  /** Where nothing happens for this long, in seconds of play time, the rest of it is skipped. @default never */
  readonly maxGap?: number;
}

/** Where a seek ends. */
interface Destination extends Standing {
  readonly cursor: ReelCursor;
}

/**
 * Plays a recording or a live room: one engine, one playhead (V3).
 *
 *     seek, step, pause, goLive ──> a new generation, which ends whatever the one before was doing
 *     frame ──> what is due, in order, each step shown ──> next frame
 *
 * Cursors are opened one at a time, the newest next, and what a generation reads is shown only while it is the newest: nothing
 * older is painted over something newer. At the live edge there is no cursor: the edge goes on by itself, and shows its states.
 */
export class Replay implements Playhead {
  readonly #reel: Reel;
  readonly #clock: ReplayClock;
  readonly #emitter = new Emitter<PlayheadEvents>();
  readonly #unfollow: (() => void) | undefined;
  #cursor: ReelCursor | undefined;
  #isLive = false;
  /** What the edge missed is shown as fast as it comes. */
  #isCatchingUp = false;
  #generation = 0;
  /** Of what is shown, and where a seek is going. */
  readonly #position: PlayPosition;
  #sought: number | undefined;
  #rate = 1;
  #maxGap: number;
  #isPaused = true;
  #isEnded = false;
  /** The seek that is under way, and the reading that must end before the next one begins. */
  #seek: Promise<void> | undefined;
  #reading: Promise<void> = Promise.resolve();
  #frameAtMs = 0;
  #cancelFrame: (() => void) | undefined;
  #error: unknown;

  /** At the start of a recording, or the end of a live room, and paused. */
  constructor(source: Reel | { readonly reel: Reel }, { clock = SYSTEM_CLOCK, maxGap }: ReplayOptions = {}) {
    this.#reel = 'reel' in source ? source.reel : source;
    this.#clock = clock;
    this.#maxGap = maxGap ?? Number.POSITIVE_INFINITY;
    const { edge } = this.#reel;
    this.#position = new PlayPosition(edge?.times);
    if (!edge) return;
    this.#position.moveTo(this.#end);
    this.#cursor = edge.fork();
    this.#unfollow = edge.follow({
      step: (step) => this.#edgeStepped(step),
      moved: () => {
        this.#emitter.emit('durationchange', this.duration);
        if (this.#isLive) this.#emitter.emit('timeupdate', this.duration);
      },
      jump: () => this.#edgeJumps(),
      lost: () => this.#takeLate(),
      retimed: () => this.#retime(),
      // What has not arrived is in the recording that the room leaves.
      over: () => this.#edgeJumps(),
    });
  }

  get duration(): number {
    return this.#reel.duration;
  }

  get currentTime(): number {
    return this.#sought ?? (this.#isLive ? this.duration : this.#position.time);
  }

  set currentTime(time: number) {
    void this.seek(time);
  }

  get playbackRate(): number {
    return this.#rate;
  }

  set playbackRate(rate: number) {
    if (!(rate >= MIN_RATE && rate <= MAX_RATE)) {
      throw new TypeError(`playbackRate: expected ${MIN_RATE} to ${MAX_RATE}, found ${rate}`);
    }
    if (rate === this.#rate) return;
    this.#rate = rate;
    this.#emitter.emit('ratechange', rate);
  }

  get maxGap(): number {
    return this.#maxGap;
  }

  set maxGap(seconds: number) {
    if (!(seconds > 0)) throw new TypeError(`maxGap: expected seconds above 0, found ${seconds}`);
    this.#maxGap = seconds;
  }

  get paused(): boolean {
    return this.#isPaused;
  }

  get seeking(): boolean {
    return this.#seek !== undefined;
  }

  get ended(): boolean {
    return this.#isEnded;
  }

  get isLive(): boolean {
    return this.#isLive;
  }

  /** What stopped it; undefined once it goes on. */
  get error(): unknown {
    return this.#error;
  }

  get states(): ReadonlyMap<string, State> {
    const states = new Map<string, State>();
    for (const player of this.#shown?.players ?? []) {
      const state = this.stateOf(player);
      if (state) states.set(player, state);
    }
    return states;
  }

  stateOf(player: string): State | undefined {
    return this.#shown?.stateOf(player);
  }

  on<Name extends keyof PlayheadEvents>(name: Name, listener: (event: PlayheadEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  play(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#emitter.emit('play', this.currentTime);
    if (this.#isPaused || this.#seek) return;
    if (this.#isEnded || !this.#cursor) void this.seek(Number.NEGATIVE_INFINITY);
    else this.#run();
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    // A seek goes on; what is being played ends with the step that it is at.
    if (!this.#seek) this.#begin();
    this.#emitter.emit('pause', this.currentTime);
  }

  seek(time: number): Promise<void> {
    if (typeof time !== 'number' || Number.isNaN(time)) {
      throw new TypeError(`currentTime: expected seconds, found ${time}`);
    }
    const generation = this.#begin();
    const { duration, edge } = this.#reel;
    this.#isEnded = false;
    this.#error = undefined;
    const to = Math.min(Math.max(time, 0), duration);
    this.#sought = to;
    const seek = this.#go(generation, async () => {
      if (edge && time >= duration) return { cursor: edge.fork(), ...this.#end };
      // What rounding made of the end must not hide the last of it; and only what is before the start misses nothing at 0.
      const at = time === Number.NEGATIVE_INFINITY ? time : to >= duration ? Number.POSITIVE_INFINITY : to;
      return { cursor: await this.#reel.cursorAt(at), time: to, upTo: at };
    });
    this.#seek = seek;
    this.#emitter.emit('seeking', to);
    return seek;
  }

  async step(events: number): Promise<ReplayEvent | undefined> {
    if (!Number.isSafeInteger(events)) throw new TypeError(`step: expected a whole number, found ${events}`);
    this.pause();
    if (!this.#cursor && !this.#seek) void this.seek(Number.NEGATIVE_INFINITY);
    while (this.#seek) await this.#seek;
    // Somebody may have played meanwhile.
    this.pause();
    const generation = this.#begin();
    this.#isEnded = false;
    if (events < 0) return await this.#stepBack(-events, generation);
    try {
      return await this.#stepOn(events, generation);
    } catch (error) {
      this.#fail(error, generation);
      return undefined;
    }
  }

  goLive(): void {
    if (!this.#reel.edge) {
      void this.seek(this.duration);
      return;
    }
    if (this.#isLive) return;
    this.#begin();
    this.#error = undefined;
    this.#follow();
    this.#emitter.emit('seeked', this.duration);
  }

  /** Nothing is played or told any more. What it plays stays open. */
  close(): void {
    this.#begin();
    this.#unfollow?.();
    this.#isPaused = true;
  }

  /** Where the states are that it shows: nowhere before the first seek. */
  get #shown(): ReelStates | undefined {
    return this.#isLive ? this.#reel.edge : this.#cursor;
  }

  /** Ends whatever is going on, and stands still where it is. */
  #begin(): number {
    this.#cancelFrame?.();
    this.#cancelFrame = undefined;
    this.#isCatchingUp = false;
    this.#seek = undefined;
    this.#sought = undefined;
    this.#leaveEdge();
    return ++this.#generation;
  }

  async #go(generation: number, read: () => Promise<Destination>): Promise<void> {
    await this.#reading;
    if (generation !== this.#generation) return;
    const reading = this.#arrive(generation, read);
    this.#reading = reading;
    await reading;
  }

  async #arrive(generation: number, read: () => Promise<Destination>): Promise<void> {
    try {
      const { cursor, ...standing } = await read();
      if (generation !== this.#generation) return;
      this.#cursor = cursor;
      this.#position.moveTo(standing);
      const { time } = standing;
      this.#seek = undefined;
      this.#sought = undefined;
      this.#emitter.emit('seeked', time);
      this.#emitter.emit('timeupdate', time);
      if (generation === this.#generation && !this.#isPaused) this.#run();
    } catch (error) {
      this.#fail(error, generation);
    }
  }

  #run(): void {
    this.#frameAtMs = this.#clock.now();
    this.#scheduleFrame();
  }

  #scheduleFrame(): void {
    const generation = this.#generation;
    this.#cancelFrame = this.#clock.nextFrame(() => {
      this.#frame(generation).catch((error) => this.#fail(error, generation));
    });
  }

  async #frame(generation: number): Promise<void> {
    const nowMs = this.#clock.now();
    const passedMs = Math.min(Math.max(nowMs - this.#frameAtMs, 0), MAX_FRAME_MS);
    this.#frameAtMs = nowMs;
    const to = this.#isCatchingUp ? this.duration : this.#position.time + (passedMs / 1_000) * this.#rate;
    if (!(await this.#advance(to, generation))) return;
    this.#emitter.emit('timeupdate', this.#position.time);
    if (generation !== this.#generation) return;
    if (this.#hasCaughtUp()) this.#follow();
    else if (!this.#reel.edge && this.#position.time >= this.duration) this.#stopAtEnd();
    else this.#scheduleFrame();
  }

  /** Shows all that is due up to a time. Resolves with false when a newer generation took over. */
  async #advance(target: number, generation: number): Promise<boolean> {
    let to = target;
    for (;;) {
      const cursor = this.#cursor as ReelCursor;
      let next = cursor.nextTime();
      if (typeof next !== 'number') {
        next = await next;
        // What could not be read in time is not skipped.
        this.#frameAtMs = this.#clock.now();
        if (generation !== this.#generation) return false;
      }
      const isOver = !this.#reel.edge && to >= this.duration;
      if (
        next <= (isOver ? Number.POSITIVE_INFINITY : Math.min(to, this.duration)) &&
        next < Number.POSITIVE_INFINITY
      ) {
        this.#show(cursor.step());
        if (generation !== this.#generation) return false;
        continue;
      }
      if (to - this.#position.idleSince < this.#maxGap || to >= this.duration) break;
      to = Math.min(next, this.duration);
      this.#position.skipTo(to);
    }
    const time = Math.max(this.#position.time, Math.min(to, this.duration));
    this.#position.advanceTo(time, !this.#reel.edge && time >= this.duration);
    return true;
  }

  async #stepOn(events: number, generation: number): Promise<ReplayEvent | undefined> {
    const cursor = this.#cursor as ReelCursor;
    let shown: ReplayEvent | undefined;
    for (let left = events; left > 0; ) {
      const next = await cursor.nextTime();
      if (generation !== this.#generation) return undefined;
      if (next > (this.#reel.edge ? this.duration : Number.MAX_VALUE)) break;
      const event = this.#show(cursor.step());
      if (generation !== this.#generation) return undefined;
      if (!event) continue;
      shown = event;
      left--;
    }
    this.#emitter.emit('timeupdate', this.#position.time);
    return shown;
  }

  async #stepBack(events: number, generation: number): Promise<ReplayEvent | undefined> {
    let event: ReplayEvent | undefined;
    const { place } = this.#position;
    const seek = this.#go(generation, async () => {
      const { cursor, step } = await stepBack(this.#reel, place, events);
      event = step && eventOf(step, cursor);
      const time = step?.time ?? 0;
      return { cursor, time, upTo: step ? time : Number.NEGATIVE_INFINITY, last: step };
    });
    this.#seek = seek;
    this.#emitter.emit('seeking', this.#position.time);
    await seek;
    return generation === this.#generation ? event : undefined;
  }

  /** Tells of a step that the cursor, or the edge, has just made. */
  #show(step: ReelStep): ReplayEvent | undefined {
    const { player, time, at, seq } = step;
    // The edge knows it better: what it shows may be of a time that is over, and is not late.
    const late = this.#isLive ? step.late : this.#position.isPast(at);
    this.#position.stepped(step, late, this.duration);
    const event = eventOf({ ...step, late }, this.#shown as ReelStates);
    if (event) this.#emitter.emit('event', event);
    this.#emitter.emit('change', { player, time, seq, late });
    return event;
  }

  /** Of a room that goes on, as far as it is there. */
  get #end(): Standing {
    return { time: this.duration, upTo: this.duration };
  }

  #stopAtEnd(): void {
    this.#isEnded = true;
    this.#isPaused = true;
    this.#emitter.emit('pause', this.currentTime);
    this.#emitter.emit('ended', this.#position.time);
  }

  /** There is nothing that the edge has shown and this has not. */
  #hasCaughtUp(): boolean {
    if (!this.#reel.edge || this.#position.time < this.duration) return false;
    const next = this.#cursor?.nextTime();
    return typeof next === 'number' && next > this.duration;
  }

  #follow(): void {
    const wasPaused = this.#isPaused;
    this.#generation++;
    this.#isLive = true;
    this.#isPaused = false;
    this.#isEnded = false;
    this.#isCatchingUp = false;
    this.#cursor = undefined;
    if (wasPaused) this.#emitter.emit('play', this.duration);
  }

  #leaveEdge(): void {
    if (!this.#isLive) return;
    this.#position.moveTo(this.#end);
    this.#cursor = this.#reel.edge?.fork();
    this.#isLive = false;
  }

  #edgeStepped(step: ReelStep): void {
    if (this.#isLive) this.#show(step);
    else this.#takeLate();
  }

  #takeLate(): void {
    if (!this.#isLive && this.#isPaused && !this.#seek) this.#showLate();
  }

  /** What came late is shown although nothing plays. */
  #showLate(): void {
    const generation = this.#generation;
    while (generation === this.#generation && this.#cursor) {
      const next = this.#cursor.nextTime();
      if (typeof next !== 'number') {
        const again = () => {
          if (generation === this.#generation) this.#showLate();
        };
        next.then(again, (error) => this.#fail(error, generation));
        return;
      }
      if (!this.#position.isPast(this.#cursor.nextAt)) return;
      this.#show(this.#cursor.step());
    }
  }

  /** A pause that came late has moved all that came after it: what is shown stays, and its time is another one. */
  #retime(): void {
    this.#position.retime();
    if (this.#isLive || this.#seek) return;
    this.#emitter.emit('timeupdate', this.#position.time);
    if (this.#isPaused) return;
    // What a frame was about to show is of other times.
    const isCatchingUp = this.#isCatchingUp;
    this.#begin();
    this.#isCatchingUp = isCatchingUp;
    this.#run();
  }

  #edgeJumps(): void {
    if (!this.#isLive) return;
    this.#begin();
    this.#isCatchingUp = true;
    this.#run();
  }

  #fail(error: unknown, generation: number): void {
    if (generation !== this.#generation) return;
    const wasCatchingUp = this.#isCatchingUp;
    this.#begin();
    this.#error = error;
    const wasPaused = this.#isPaused;
    this.#isPaused = true;
    if (!wasPaused) this.#emitter.emit('pause', this.currentTime);
    this.#emitter.emit('error', error instanceof Error ? error : new Error(String(error)));
    // What was missed cannot be had: better to go on without it than not at all.
    if (wasCatchingUp) this.goLive();
  }
}

/** The state is made when it is asked for. */
function eventOf({ player, time, seq, late, event }: ReelStep, states: ReelStates): ReplayEvent | undefined {
  if (!event) return undefined;
  const { type, data } = event;
  return {
    type,
    data,
    player,
    time,
    seq,
    late,
    get state() {
      return states.stateOf(player) ?? {};
    },
  };
}
