import type { Tape } from '@gametape/client-sdk';
import type { State } from '@gametape/shared';
import { batch, signal } from '@preact/signals';
import { PlayerBoard, type PlayerModel } from './player-board.ts';

/** Longest step of the clock in one frame, in seconds: after a stall the replay goes on where it was. */
const MAX_FRAME_S = 0.1;
/** How often all states are read while playing, in milliseconds: a state may change without an event. */
const SETTLE_MS = 500;

/** A room opens a moment before its first player is in it, in seconds: that moment shows the player, not nothing. */
const LEAD_IN_S = 1;

/**
 * Plays a tape. Every seek starts a generation and ends the one before it. States are read for one seek at a time, the
 * newest next, and a generation plays only after its own states are shown: nothing older is painted over something newer.
 */
export class Playback {
  readonly tape: Tape;
  readonly board = new PlayerBoard();
  /** Play time, in seconds. */
  readonly time = signal(0);
  /** The time last sought, or paused at. */
  readonly soughtTime = signal(0);
  readonly isPlaying = signal(false);
  readonly speed = signal(1);
  readonly error = signal<unknown>(undefined);
  #generation = 0;
  #leadIn: number | undefined;
  #reading: Promise<void> = Promise.resolve();
  #isSettling = false;
  #settledAtMs = 0;
  #frameAtMs = 0;
  /** Of each player, the time of what is shown or about to be. */
  readonly #shownAt = new Map<PlayerModel, number>();
  /** What the next frame paints. */
  readonly #pending = new Map<PlayerModel, State>();

  constructor(tape: Tape) {
    this.tape = tape;
    for (const { id } of tape.players) this.board.player(id);
  }

  /** Goes to a time, in seconds, and plays on from there if it was playing. */
  seek(time: number): void {
    this.#generation++;
    this.#pending.clear();
    batch(() => {
      this.time.value = Math.min(Math.max(time, 0), this.tape.duration);
      this.soughtTime.value = this.time.peek();
      this.error.value = undefined;
    });
    void this.#goOn(this.#generation);
  }

  seekBy(seconds: number): void {
    this.seek(this.time.peek() + seconds);
  }

  /** Plays; from the start again when it is at the end. */
  play(): void {
    if (this.isPlaying.peek()) return;
    this.isPlaying.value = true;
    this.seek(this.time.peek() >= this.tape.duration ? 0 : this.time.peek());
  }

  pause(): void {
    this.isPlaying.value = false;
    this.seek(this.time.peek());
  }

  toggle(): void {
    if (this.isPlaying.peek()) this.pause();
    else this.play();
  }

  async close(): Promise<void> {
    this.#generation++;
    await this.#reading;
    await this.tape.close();
  }

  async #goOn(generation: number): Promise<void> {
    await this.#reading;
    if (generation !== this.#generation) return;
    this.#reading = this.#showStates();
    await this.#reading;
    if (generation !== this.#generation || !this.isPlaying.peek()) return;
    try {
      if (await this.#playEvents(generation)) this.pause();
    } catch (error) {
      this.#fail(error, generation);
    }
  }

  /** Shows every player as of now. */
  async #showStates(): Promise<void> {
    const generation = this.#generation;
    const time = this.time.peek();
    try {
      const states = await this.#statesAt(time);
      batch(() => {
        for (const id of states.keys()) this.board.player(id);
        for (const player of this.board.players.peek()) {
          this.#shownAt.set(player, time);
          this.#show(player, states.get(player.id));
        }
      });
    } catch (error) {
      this.#fail(error, generation);
    }
  }

  /** Plays to the end. Resolves with false when a newer generation took over. */
  async #playEvents(generation: number): Promise<boolean> {
    this.#frameAtMs = performance.now();
    for await (const event of this.tape.events({ from: this.time.peek() })) {
      while (event.time > this.time.peek() && this.#isBeforeEnd) {
        if (!(await this.#nextFrame(generation))) return false;
      }
      if (generation !== this.#generation) return false;
      const player = this.board.player(event.player);
      this.#pending.set(player, event.state);
      this.#shownAt.set(player, event.time);
    }
    while (this.#isBeforeEnd) if (!(await this.#nextFrame(generation))) return false;
    return generation === this.#generation;
  }

  get #isBeforeEnd(): boolean {
    return this.time.peek() < this.tape.duration;
  }

  /** Paints what is due and moves the clock on. Resolves with false when a newer generation took over. */
  async #nextFrame(generation: number): Promise<boolean> {
    const nowMs = await new Promise<number>(requestAnimationFrame);
    if (generation !== this.#generation) return false;
    const step = Math.min(Math.max((nowMs - this.#frameAtMs) / 1_000, 0), MAX_FRAME_S) * this.speed.peek();
    this.#frameAtMs = nowMs;
    batch(() => {
      for (const [player, state] of this.#pending) this.#show(player, state);
      this.#pending.clear();
      this.time.value = Math.min(this.time.peek() + step, this.tape.duration);
    });
    if (!this.#isSettling && nowMs - this.#settledAtMs >= SETTLE_MS) void this.#settle(generation, nowMs);
    return true;
  }

  /** Shows the players whose state changed without an event, so that playing shows what seeking would (V3). */
  async #settle(generation: number, nowMs: number): Promise<void> {
    this.#isSettling = true;
    this.#settledAtMs = nowMs;
    const time = this.time.peek();
    try {
      const states = await this.#statesAt(time);
      if (generation !== this.#generation) return;
      for (const [id, state] of states) {
        const player = this.board.player(id);
        if ((this.#shownAt.get(player) ?? 0) <= time) this.#pending.set(player, state);
      }
    } catch (error) {
      this.#fail(error, generation);
    } finally {
      this.#isSettling = false;
    }
  }

  async #statesAt(time: number): Promise<Map<string, State>> {
    // Past the end are the last states, whatever rounding did to the duration.
    if (time >= this.tape.duration) return this.tape.statesAt(time + 1);
    if (time >= LEAD_IN_S) return this.tape.statesAt(time);
    this.#leadIn ??= await readLeadIn(this.tape);
    return this.tape.statesAt(Math.max(time, this.#leadIn));
  }

  #show(player: PlayerModel, state: State | undefined): void {
    player.state.value = state;
    player.presence.value = state ? 'recorded' : 'not there yet';
  }

  #fail(error: unknown, generation: number): void {
    if (generation !== this.#generation) return;
    this.#generation++;
    batch(() => {
      this.isPlaying.value = false;
      this.error.value = error;
    });
  }
}

/** Time of the first event if that is in the lead-in, else 0. */
async function readLeadIn(tape: Tape): Promise<number> {
  for await (const { time } of tape.events({ to: LEAD_IN_S })) return time;
  return 0;
}
