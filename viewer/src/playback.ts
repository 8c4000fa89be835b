import { type Playhead, type PlayheadEvents, Replay, type ReplayClock, type Tape } from '@gametape/client-sdk';
import type { State } from '@gametape/shared';
import { batch, signal } from '@preact/signals';
import { PlayerBoard } from './player-board.ts';

/** A room opens a moment before its first player is in it, in seconds: that moment shows the player, not nothing. */
const LEAD_IN_S = 1;

/** What the bar below the players shows as a mark. */
export interface Mark {
  readonly name: string;
  readonly time: number;
}

/** A replay, or a live room, with what it tells. */
export interface Playable extends Playhead {
  on<Name extends keyof PlayheadEvents>(name: Name, listener: (event: PlayheadEvents[Name]) => void): () => void;
}

/** A playhead as signals. What it shows between two frames is painted once. */
export class Playback {
  readonly board: PlayerBoard;
  /** Play time, in seconds. */
  readonly time = signal(0);
  readonly duration = signal(0);
  /** The time last sought, or paused at. */
  readonly soughtTime = signal(0);
  readonly isPlaying = signal(false);
  readonly isLive = signal(false);
  /** It still grows: the end is where others are. */
  readonly isLiveRoom = signal(false);
  readonly speed = signal(1);
  readonly checkpoints = signal<readonly Mark[]>([]);
  readonly error = signal<unknown>(undefined);
  readonly #playhead: Playable;
  readonly #stops: (() => void)[];
  readonly #changed = new Set<string>();
  /** Shown before anybody is there. */
  #leadIn: { readonly until: number; readonly states: ReadonlyMap<string, State> } | undefined;

  constructor(playhead: Playable, board: PlayerBoard) {
    this.#playhead = playhead;
    this.board = board;
    this.#stops = [
      playhead.on('change', ({ player }) => this.#changed.add(player)),
      playhead.on('timeupdate', () => this.#paint()),
      playhead.on('durationchange', (duration) => {
        this.duration.value = duration;
      }),
      playhead.on('seeking', (time) => {
        batch(() => {
          this.time.value = time;
          this.soughtTime.value = time;
          this.error.value = undefined;
        });
      }),
      playhead.on('seeked', () => this.#paintAll()),
      playhead.on('play', () => this.#paint()),
      playhead.on('pause', (time) => {
        this.#paint();
        this.soughtTime.value = time;
      }),
      playhead.on('error', (error) => {
        this.error.value = error;
      }),
    ];
    this.#paintAll();
  }

  /** Goes to a time, in seconds, and plays on from there if it was playing. */
  seek(time: number): void {
    this.#playhead.currentTime = time;
  }

  seekBy(seconds: number): void {
    this.seek(this.time.peek() + seconds);
  }

  /** By so many events, back if negative. */
  step(events: number): void {
    void this.#playhead.step(events);
  }

  setSpeed(speed: number): void {
    this.#playhead.playbackRate = speed;
    this.speed.value = speed;
  }

  /** It has a live end to go to. */
  get isGrowing(): boolean {
    return this.isLiveRoom.peek();
  }

  goLive(): void {
    this.#playhead.goLive();
  }

  /** To the end: of a recording, or of what there is of a live room. */
  goToEnd(): void {
    this.seek(this.duration.peek());
  }

  toggle(): void {
    if (this.isPlaying.peek()) this.#playhead.pause();
    else this.#playhead.play();
  }

  /** Shows these states until there are others, up to a moment after the start. */
  leadIn(until: number, states: ReadonlyMap<string, State>): void {
    if (until > LEAD_IN_S) return;
    this.#leadIn = { until, states };
    this.#paintAll();
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  #paintAll(): void {
    for (const { id } of this.board.players.peek()) this.#changed.add(id);
    for (const id of this.#playhead.states.keys()) this.#changed.add(id);
    for (const id of this.#leadIn?.states.keys() ?? []) this.#changed.add(id);
    this.#paint();
  }

  #paint(): void {
    const { currentTime, duration, paused, isLive } = this.#playhead;
    batch(() => {
      this.time.value = currentTime;
      this.duration.value = duration;
      this.isPlaying.value = !paused;
      this.isLive.value = isLive;
      for (const id of this.#changed) this.#show(id, currentTime);
    });
    this.#changed.clear();
  }

  #show(id: string, time: number): void {
    const player = this.board.player(id);
    const early = this.#leadIn && time < this.#leadIn.until ? this.#leadIn.states.get(id) : undefined;
    const state = this.#playhead.stateOf(id) ?? early;
    player.state.value = state;
    if (!this.board.knowsPresence) player.presence.value = state ? 'recorded' : 'not there yet';
  }
}

/** A recording, ready to be played. */
export class TapePlayback extends Playback {
  readonly tape: Tape;
  readonly #replay: Replay;

  constructor(tape: Tape) {
    const replay = new Replay(tape, { clock: FRAMES });
    const board = new PlayerBoard();
    for (const { id, clock } of tape.players) {
      board.player(id).clockErrorS.value = clock && clock.errorUs / 1_000_000;
    }
    super(replay, board);
    this.tape = tape;
    this.#replay = replay;
    this.checkpoints.value = tape.checkpoints;
    void this.#readLeadIn();
  }

  override close(): void {
    super.close();
    this.#replay.close();
    void this.tape.close();
  }

  async #readLeadIn(): Promise<void> {
    try {
      for await (const { time } of this.tape.events({ to: LEAD_IN_S })) {
        this.leadIn(time, await this.tape.statesAt(time));
        return;
      }
    } catch {
      // Whoever plays it will see why.
    }
  }
}

/** Pages in the background get no frames: what plays there waits. */
const FRAMES: ReplayClock = {
  now: () => performance.now(),
  nextFrame: (callback) => {
    const frame = requestAnimationFrame(callback);
    return () => cancelAnimationFrame(frame);
  },
};
