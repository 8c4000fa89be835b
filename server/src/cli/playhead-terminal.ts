import { emitKeypressEvents } from 'node:readline';
import type { Playhead, PlayheadEvents, ReplayEvent } from '@gametape/client-sdk';
import ansi from 'ansi-escapes';
import { onKilled } from './interruption.ts';
import { type ScreenModel, screenLines } from './playhead-screen.ts';

/** Between two paints, in milliseconds. */
const PAINT_MS = 33;
const JUMP_S = 5;
const RATES = [0.1, 0.25, 0.5, 1, 2, 4, 8, 16];
/** How long somebody is shown as typing. */
const TYPING_MS = 600;

/** A replay or a live room. */
export interface Watchable extends Playhead {
  on<Name extends keyof PlayheadEvents>(name: Name, listener: (event: PlayheadEvents[Name]) => void): () => void;
}

export interface PlayheadTerminalOptions {
  readonly title: string;
  readonly playhead: Watchable;
  /** Whose code is shown first. */
  readonly player: string | undefined;
  /** It has a live end. */
  readonly isRoom: () => boolean;
  readonly players: () => readonly string[];
  readonly checkpoints: () => readonly { readonly name: string; readonly time: number }[];
  /** What is to be said at the top right. */
  readonly note: () => string;
}

interface Key {
  readonly name?: string;
  readonly sequence?: string;
  readonly ctrl?: boolean;
}

/** True where there is somebody to press keys and a screen to look at. */
export function isWatchable(): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true && process.env.TERM !== 'dumb';
}

/** A playhead on the whole terminal, until somebody quits. However it ends, the terminal is as it was before. */
export class PlayheadTerminal {
  readonly #options: PlayheadTerminalOptions;
  #player: string | undefined;
  #event: ReplayEvent | undefined;
  readonly #typedAt = new Map<string, number>();
  #shown: string[] = [];
  #paintTimer: NodeJS.Timeout | undefined;
  #resolve: (outcome: 'quit' | 'interrupted') => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(options: PlayheadTerminalOptions) {
    this.#options = options;
    this.#player = options.player;
  }

  async run(): Promise<'quit' | 'interrupted'> {
    const { playhead } = this.#options;
    const { stdin, stdout } = process;
    const paint = () => this.#paintSoon();
    const onKey = (_: string | undefined, key: Key) => this.#guard(() => this.#press(key));
    const onResize = () => {
      this.#shown = [];
      this.#paintSoon();
    };
    const restore = () => {
      stdin.setRawMode(false);
      stdout.write(ansi.cursorShow + ansi.exitAlternativeScreen);
    };
    const forget = onKilled(restore);
    const stops = [
      forget,
      playhead.on('event', (event) => {
        this.#event = event;
        this.#player ??= event.player;
        this.#typedAt.set(event.player, performance.now());
      }),
      ...(['change', 'timeupdate', 'durationchange', 'seeked', 'play', 'pause', 'ratechange'] as const).map((name) =>
        playhead.on(name, paint),
      ),
      playhead.on('seeked', () => {
        this.#event = undefined;
      }),
    ];
    emitKeypressEvents(stdin);
    stdout.write(ansi.enterAlternativeScreen + ansi.cursorHide);
    try {
      stdin.setRawMode(true);
      stdin.on('keypress', onKey);
      stdin.resume();
      stdout.on('resize', onResize);
      return await new Promise((resolve, reject) => {
        this.#resolve = resolve;
        this.#reject = reject;
        this.#paintSoon();
      });
    } finally {
      clearTimeout(this.#paintTimer);
      for (const stop of stops) stop();
      stdin.off('keypress', onKey);
      stdout.off('resize', onResize);
      stdin.pause();
      restore();
    }
  }

  /** Ends it with an error, once the terminal is as it was. */
  fail(error: unknown): void {
    this.#reject(error);
  }

  #press({ name, sequence, ctrl }: Key): void {
    const { playhead, isRoom } = this.#options;
    if (ctrl && name === 'c') this.#resolve('interrupted');
    else if (name === 'q' || name === 'escape') this.#resolve('quit');
    else if (name === 'space') playhead.paused ? playhead.play() : playhead.pause();
    else if (name === 'left') playhead.currentTime -= JUMP_S;
    else if (name === 'right') playhead.currentTime += JUMP_S;
    else if (name === 'home') playhead.currentTime = 0;
    else if (name === 'n') void this.#step(1);
    else if (name === 'p') void this.#step(-1);
    else if (name === 'c') this.#toNextCheckpoint();
    else if (name === 'g' || name === 'end') isRoom() ? playhead.goLive() : void playhead.seek(playhead.duration);
    else if (name === 'tab') this.#nextPlayer();
    else if (sequence === '+' || sequence === '=') this.#changeRate(1);
    else if (sequence === '-') this.#changeRate(-1);
    this.#paintSoon();
  }

  async #step(events: number): Promise<void> {
    const event = await this.#options.playhead.step(events);
    if (!event) return;
    this.#event = event;
    this.#paintSoon();
  }

  #toNextCheckpoint(): void {
    const { playhead, checkpoints } = this.#options;
    const next = checkpoints().find(({ time }) => time > playhead.currentTime + 1e-6);
    if (next) playhead.currentTime = next.time;
  }

  #nextPlayer(): void {
    const players = this.#options.players();
    this.#player = players[(players.indexOf(this.#shownPlayer(players) ?? '') + 1) % players.length];
  }

  #changeRate(by: number): void {
    const { playhead } = this.#options;
    const at = RATES.findLastIndex((rate) => rate <= playhead.playbackRate);
    playhead.playbackRate = RATES[Math.min(Math.max(at + by, 0), RATES.length - 1)] ?? 1;
  }

  /** Who was chosen, else the first to do something, else the first there is. */
  #shownPlayer(players: readonly string[]): string | undefined {
    return this.#player ?? players[0];
  }

  #paintSoon(): void {
    this.#paintTimer ??= setTimeout(() => {
      this.#paintTimer = undefined;
      this.#guard(() => this.#paint());
    }, PAINT_MS);
  }

  #paint(): void {
    const { stdout } = process;
    const lines = screenLines(this.#model());
    let out = this.#shown.length === 0 ? ansi.clearViewport : '';
    for (const [row, line] of lines.entries()) {
      if (this.#shown[row] === line) continue;
      out += ansi.cursorTo(0, row) + line + ansi.eraseEndLine;
    }
    this.#shown = lines;
    if (out !== '') stdout.write(out);
  }

  #model(): ScreenModel {
    const { title, playhead, players, checkpoints, note, isRoom } = this.#options;
    const ids = players();
    const player = this.#shownPlayer(ids);
    const now = performance.now();
    return {
      title,
      columns: process.stdout.columns || 80,
      rows: process.stdout.rows || 24,
      time: playhead.currentTime,
      duration: playhead.duration,
      rate: playhead.playbackRate,
      isPaused: playhead.paused,
      isLive: isRoom() ? playhead.isLive : undefined,
      note: note(),
      players: ids,
      player,
      typing: new Set(ids.filter((id) => now - (this.#typedAt.get(id) ?? Number.NEGATIVE_INFINITY) < TYPING_MS)),
      state: player === undefined ? undefined : playhead.stateOf(player),
      event: this.#event,
      checkpoints: checkpoints(),
    };
  }

  /** What a key or a timer calls: the terminal is put back before anything is said of it. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#reject(error);
    }
  }
}
