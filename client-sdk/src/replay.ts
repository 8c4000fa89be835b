import type { State } from '@gametape/shared';
import type { Playhead, PlayheadEvents, ReplayEvent } from './api.ts';
import { Emitter } from './emitter.ts';
import type { Standing } from './play-position.ts';
import type { Reel, ReelCursor, ReelStep } from './reel.ts';
import { type ReplayClock, SYSTEM_CLOCK } from './replay-clock.ts';
import { eventOf, Screen } from './screen.ts';
import { stepBack } from './step-back.ts';

/** Longest step of the clock in one frame, in milliseconds: after a stall the replay goes on where it was. */
const MAX_FRAME_MS = 100;
/** Times are no closer to each other, in seconds. */
const MICROSECOND = 1e-6;
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
  readonly #screen: Screen;
  readonly #unfollow: (() => void) | undefined;
  /** The edge has made steps since it moved last. */
  #hasNews = false;
  /** What the edge missed is shown as fast as it comes. */
  #isCatchingUp = false;
  #generation = 0;
  /** Where a seek is going. */
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
    this.#maxGap = checkGap(maxGap ?? Number.POSITIVE_INFINITY);
    const { edge } = this.#reel;
    this.#screen = new Screen(this.#reel, this.#emitter);
    this.#unfollow = edge?.follow({
      step: (step) => this.#edgeStepped(step),
      moved: () => this.#edgeMoved(),
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
    return this.#sought ?? this.#screen.time;
  }

  set currentTime(time: number) {
    void this.seek(time);
  }

  get playbackRate(): number {
    return this.#rate;
  }

  set playbackRate(rate: number) {
    if (typeof rate !== 'number' || !(rate >= MIN_RATE && rate <= MAX_RATE)) {
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
    this.#maxGap = checkGap(seconds);
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
    return this.#screen.isLive;
  }

  /** What stopped it; undefined once it goes on. */
  get error(): unknown {
    return this.#error;
  }

  get states(): ReadonlyMap<string, State> {
    return this.#screen.states;
  }

  stateOf(player: string): State | undefined {
    return this.#screen.stateOf(player);
  }

  on<Name extends keyof PlayheadEvents>(name: Name, listener: (event: PlayheadEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  play(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#emitter.emit('play', this.currentTime);
    if (this.#isPaused || this.#seek) return;
    if (this.#isEnded || !this.#screen.hasCursor) void this.seek(Number.NEGATIVE_INFINITY);
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
      if (edge && time >= duration) return { cursor: edge.fork(), ...this.#screen.end };
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
    if (!this.#screen.hasCursor && !this.#seek) void this.seek(Number.NEGATIVE_INFINITY);
    while (this.#seek) await this.#seek;
    // Somebody may have played meanwhile.
    this.pause();
    const generation = this.#begin();
    this.#isEnded = false;
    if (events < 0) return await this.#stepBack(-events, generation);
    // The seek has failed, and has told why.
    if (!this.#screen.hasCursor) return undefined;
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
    if (this.isLive) return;
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

  /** Ends whatever is going on, and stands still where it is. */
  #begin(): number {
    this.#cancelFrame?.();
    this.#cancelFrame = undefined;
    this.#isCatchingUp = false;
    this.#seek = undefined;
    this.#sought = undefined;
    this.#screen.leaveEdge();
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
      this.#screen.moveTo(cursor, standing);
      const { time } = standing;
      this.#seek = undefined;
      this.#sought = undefined;
      this.#emitter.emit('seeked', time);
      if (generation === this.#generation) this.#emitter.emit('timeupdate', time);
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
    const to = this.#isCatchingUp ? this.duration : this.#screen.time + (passedMs / 1_000) * this.#rate;
    const isStale = () => generation !== this.#generation;
    // What could not be read in time is not skipped.
    const onWaited = () => {
      if (!isStale()) this.#frameAtMs = this.#clock.now();
    };
    if (!(await this.#screen.advance(to, this.#maxGap, isStale, onWaited))) return;
    this.#emitter.emit('timeupdate', this.#screen.time);
    if (isStale()) return;
    if (this.#screen.hasCaughtUp) this.#follow();
    else if (!this.#reel.edge && this.#screen.time >= this.duration) this.#end();
    else this.#scheduleFrame();
  }

  async #stepOn(events: number, generation: number): Promise<ReplayEvent | undefined> {
    const isStale = () => generation !== this.#generation;
    const shown = await this.#screen.stepOn(events, isStale);
    if (!isStale()) this.#emitter.emit('timeupdate', this.#screen.time);
    return shown;
  }

  async #stepBack(events: number, generation: number): Promise<ReplayEvent | undefined> {
    let event: ReplayEvent | undefined;
    const { place } = this.#screen;
    const seek = this.#go(generation, async () => {
      const { cursor, step } = await stepBack(this.#reel, place, events);
      event = step && eventOf(step, cursor);
      const time = step?.time ?? 0;
      // Others of the same time may come after it: those are not passed.
      return { cursor, time, upTo: step ? time - MICROSECOND : Number.NEGATIVE_INFINITY, last: step };
    });
    this.#seek = seek;
    this.#emitter.emit('seeking', this.#screen.time);
    await seek;
    return generation === this.#generation ? event : undefined;
  }

  #end(): void {
    this.#isEnded = true;
    this.#isPaused = true;
    this.#emitter.emit('pause', this.currentTime);
    this.#emitter.emit('ended', this.#screen.time);
  }

  #follow(): void {
    const wasPaused = this.#isPaused;
    this.#generation++;
    this.#screen.follow();
    this.#isPaused = false;
    this.#isEnded = false;
    this.#isCatchingUp = false;
    if (wasPaused) this.#emitter.emit('play', this.duration);
  }

  #edgeStepped(step: ReelStep): void {
    if (this.isLive) this.#screen.show(step);
    else this.#hasNews = true;
  }

  /** A pause and its end may have come together: only now it is known at what times all of it is. */
  #edgeMoved(): void {
    this.#emitter.emit('durationchange', this.duration);
    if (this.isLive) this.#emitter.emit('timeupdate', this.duration);
    else if (this.#hasNews) this.#takeLate();
    this.#hasNews = false;
  }

  /** What came late is shown although nothing plays. */
  #takeLate(): void {
    if (this.isLive || !this.#isPaused || this.#seek) return;
    const generation = this.#generation;
    const isStale = () => generation !== this.#generation;
    const again = () => {
      if (!isStale()) this.#takeLate();
    };
    this.#screen.showLate(isStale)?.then(again, (error) => this.#fail(error, generation));
  }

  /** A pause that came late has moved all that came after it: what is shown stays, and its time is another one. */
  #retime(): void {
    this.#screen.retime();
    if (this.isLive || this.#seek) return;
    this.#emitter.emit('timeupdate', this.#screen.time);
    if (this.#isPaused) return;
    // What a frame was about to show is of other times.
    const isCatchingUp = this.#isCatchingUp;
    this.#begin();
    this.#isCatchingUp = isCatchingUp;
    this.#run();
  }

  #edgeJumps(): void {
    if (!this.isLive) return;
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

function checkGap(seconds: number): number {
  if (typeof seconds === 'number' && seconds > 0) return seconds;
  throw new TypeError(`maxGap: expected seconds above 0, found ${seconds}`);
}
