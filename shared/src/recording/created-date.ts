/** What a Date can be away from 1970 at most, in milliseconds. */
const MAX_MS = 8.64e15;

/**
 * When a recording was made. A file may say any number of seconds since 1970: what is further away than a Date can be becomes the
 * last moment that it can, so that the file can still be listed and opened (S4).
 */
export function createdDate(seconds: number): Date {
  return new Date(Math.max(-MAX_MS, Math.min(MAX_MS, seconds * 1_000)));
}
