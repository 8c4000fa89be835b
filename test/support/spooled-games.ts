import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openRecording } from '@gametape/client-sdk';
import { expect, onTestFinished } from 'vitest';
import { type Recording, type RelayProcess, readRecording } from './relay.ts';
import { waitFor, within } from './wait-for.ts';

const GAME = fileURLToPath(new URL('./spooled-game.mjs', import.meta.url));

/** What a game says of itself. */
export interface Said {
  readonly joined?: string;
  readonly spool?: { readonly isKept: boolean; readonly recovered: number; readonly kept: number };
  readonly refused?: string;
  readonly error?: string;
  readonly message?: string;
  readonly paused?: number;
  /** Its connection is lost after that many events. */
  readonly away?: number;
  readonly done?: string;
  readonly n?: number;
}

/** One life of a game in a process of its own, which keeps a spool. */
export class SpooledGame {
  readonly said: Said[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  private constructor(options: object) {
    this.#child = spawn(process.execPath, [GAME, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#exited = once(this.#child, 'exit');
    if (this.#child.stdout)
      createInterface(this.#child.stdout).on('line', (line) => this.said.push(JSON.parse(line) as Said));
    onTestFinished(() => void this.#child.kill('SIGKILL'));
  }

  static start(options: SpooledGameOptions): SpooledGame {
    return new SpooledGame(options);
  }

  async joined(): Promise<Said> {
    return await waitFor('the game to join', () => this.said.find(({ joined }) => joined));
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await within('the game to be gone', this.#exited);
  }

  /** It records nothing more, and all that it has is in its spool. Resolves with how much that was. */
  async pause(): Promise<number> {
    this.#child.stdin?.write('pause\n');
    const { paused = 0 } = await waitFor('the game to pause', () =>
      this.said.find(({ paused }) => paused !== undefined),
    );
    return paused;
  }

  /** Everything that it recorded is in the recording, and it says how much that was. */
  async finish(how: 'end' | 'leave'): Promise<Said> {
    this.#child.stdin?.write(`${how}\n`);
    await within(`the game to ${how}`, this.#exited);
    return this.said.find(({ done }) => done) ?? { error: 'it ended without a word' };
  }
}

export interface SpooledGameOptions {
  readonly url: string;
  readonly room: string;
  readonly player: string;
  readonly directory: string;
  readonly life: number;
  /** Where it writes down what is in its spool. */
  readonly log: string;
  readonly flushMs?: number;
  readonly seed?: number;
  /** It records nothing. */
  readonly silent?: boolean;
}

/** At the same port: who looks for a relay there may have got hold of it for a moment. */
export async function startAgain(relay: RelayProcess): Promise<void> {
  await waitFor('the port to be free', () =>
    relay.start().then(
      () => true,
      (error: Error) => {
        if (!error.message.includes('EADDRINUSE')) throw error;
        return false;
      },
    ),
  );
}

/** The last event of each life that is written down. */
export function loggedBy(log: string): Map<number, number> {
  const logged = new Map<number, number>();
  if (!existsSync(log)) return logged;
  for (const line of readFileSync(log, 'utf8').split('\n').slice(0, -1)) {
    const [life, n] = line.split(' ').map(Number);
    logged.set(life as number, n as number);
  }
  return logged;
}

export function logIn(directory: string, player: string): string {
  return join(directory, `${player}.log`);
}

/**
 * Reads a finished recording. Each life's events are there once and in order, all that were written down at least, and no event is
 * far from where the wall clock was when it was made.
 */
export async function readLives(path: string, player: string, log: string): Promise<Recording> {
  const recording = await readRecording(await readFile(path));
  const tape = await openRecording(path);
  const createdMs = tape.createdAt.getTime();
  await tape.close();
  const lives = new Map<number, number[]>();
  for (const { player: id, data, time } of recording.own) {
    if (id !== player || typeof data.n !== 'number') continue;
    const numbers = lives.get(data.life as number) ?? [];
    lives.set(data.life as number, numbers);
    numbers.push(data.n);
    if (typeof data.wallMs !== 'number') continue;
    const offMs = createdMs + time / 1_000 - data.wallMs;
    expect(Math.abs(offMs), `event ${data.n} of life ${data.life} is ${offMs} ms off`).toBeLessThan(1_500);
  }
  for (const [life, last] of loggedBy(log)) {
    const numbers = lives.get(life) ?? [];
    expect(numbers, `life ${life}`).toEqual(Array.from({ length: numbers.length }, (_, index) => index + 1));
    expect(numbers.length, `life ${life} had written down ${last}`).toBeGreaterThanOrEqual(last);
  }
  return recording;
}
