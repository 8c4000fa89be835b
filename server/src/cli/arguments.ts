import type { SpectateFrom } from '@gametape/client-sdk';
import { InvalidArgumentError } from 'commander';
import { MAX_SPECTATOR_DELAY_MS } from '../options.ts';
import type { CutPoint } from '../recording/cut-recording.ts';

/** What the help says of a FILE argument. */
export const FILE_HELP =
  'path or URL of a .lmsp, .lmsp.gz, .json, .ndjson or the seed\'s binary format; "-" is standard input';

/** Parsers for the values of options; commander puts the option's name in front of what they throw. */

export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !Number.isFinite(seconds) || seconds < 0) {
    throw new InvalidArgumentError(`Expected seconds from 0, such as 12.5.`);
  }
  return seconds;
}

export function parseSpectatorDelay(text: string): number {
  const seconds = parseSeconds(text);
  if (seconds * 1_000 <= MAX_SPECTATOR_DELAY_MS) return seconds;
  throw new InvalidArgumentError(`Expected at most ${MAX_SPECTATOR_DELAY_MS / 1_000} seconds.`);
}

/** Seconds, or `@name` for a checkpoint. */
export function parseCutPoint(text: string): CutPoint {
  const place = cutPointOf(text);
  if (place) return place;
  throw new InvalidArgumentError('Expected seconds from 0, such as 12.5, or a checkpoint, such as @start.');
}

export function parseCount(text: string): number {
  const count = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(count) || count < 0) {
    throw new InvalidArgumentError('Expected a whole number from 0.');
  }
  return count;
}

export function parsePort(text: string): number {
  const port = parseCount(text);
  if (port > 65_535) throw new InvalidArgumentError('Expected a port from 0 to 65535; 0 is any that is free.');
  return port;
}

/** A factor, or infinite for `max`. */
export function parseSpeed(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY;
  const speed = Number(text);
  if (text.trim() === '' || !Number.isFinite(speed) || speed <= 0) {
    throw new InvalidArgumentError('Expected a factor above 0, such as 4, or "max".');
  }
  return speed;
}

/** How fast a playhead may play. */
export function parseRate(text: string): number {
  const rate = Number(text);
  if (text.trim() === '' || !(rate >= 0.1 && rate <= 16)) {
    throw new InvalidArgumentError('Expected a factor from 0.1 to 16, such as 4.');
  }
  return rate;
}

export function parsePositive(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !Number.isFinite(seconds) || seconds <= 0) {
    throw new InvalidArgumentError('Expected seconds above 0, such as 2.');
  }
  return seconds;
}

/** `live`, `start`, seconds, or `@name` for a checkpoint. */
export function parseSpectateFrom(text: string): SpectateFrom {
  if (text === 'live' || text === 'start') return text;
  const place = cutPointOf(text);
  if (!place) {
    throw new InvalidArgumentError(
      'Expected "live", "start", seconds from 0, such as 12.5, or a checkpoint, such as @half.',
    );
  }
  return 'seconds' in place ? { time: place.seconds } : place;
}

function cutPointOf(text: string): CutPoint | undefined {
  if (text.startsWith('@') && text.length > 1) return { checkpoint: text.slice(1) };
  const seconds = Number(text);
  return text.trim() !== '' && Number.isFinite(seconds) && seconds >= 0 ? { seconds } : undefined;
}
