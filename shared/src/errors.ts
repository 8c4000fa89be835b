/**
 * Every error code with what to do about it. The table in PROTOCOL.md lists the same codes; `test/specs.test.ts`
 * compares them.
 */
export const ERROR_HINTS = {
  BAD_ID: 'Use 1 to 64 letters, digits, "_" or "-".',
  BAD_VALUE: 'Send only JSON values: null, booleans, finite numbers, strings, arrays and plain objects.',
  BAD_EVENT: 'Check the type and data of the event against the profile of the room.',
  BAD_STATE: 'Check the state against the profile of the room.',
  BAD_DELTA: 'Send a keyframe: the state it changes is not the one that is known.',
  BAD_MESSAGE: 'Check that both sides speak gametape.v1 and that nothing in between changes bytes.',
  BAD_RECORDING: 'Check that the file follows the format its name says.',
  DAMAGED: 'Run `gametape verify FILE` to see what is damaged, `gametape recover FILE -o OUT` to keep what is intact.',
  LIMIT_EXCEEDED: 'Send less, or in smaller pieces; the limits are listed in DELTA.md and PROTOCOL.md.',
  VERSION_UNKNOWN: 'Update the older of the two sides.',
  PROFILE_MISMATCH: 'Connect with the profile the room was opened with.',
  NOT_ALLOWED: 'Connect with a role that may do this.',
  NAME_TAKEN: 'Choose another name.',
  NOT_FOUND: 'Check the name.',
  ROOM_ENDED: 'Connect to another room; this one is recorded already.',
  ROOM_ELSEWHERE:
    'Connect to the relay that has the room; when that one is gone, try again after its lease has run out.',
  ROOM_FULL: 'Try another room, or raise the limit of the relay.',
  ROOM_QUARANTINED:
    'A fault of the relay closed this room alone, and its journal is kept: start the relay again to go on.',
  SUPERSEDED: 'The same player has connected again; use that connection.',
  SESSION_CLOSED: 'Connect again.',
  UNREACHABLE: 'Check the address, and that the relay is running.',
  TIMED_OUT: 'Try again; if it stays, look at the log of the relay.',
  EVENTS_LOST: 'The connection was away for too long; the recording states the gap.',
  JOURNAL_FAILED:
    'Look at the disk of the relay: what was not stored is not acknowledged. Once it can write again, it goes on.',
  SPOOL_FAILED: 'Recording goes on without the spool: look at the disk or the storage quota of this machine.',
  TAIL_KEPT: 'Read what is kept with `keptTails`, and discard it; after 7 days it is discarded by itself.',
  FILE_EXISTS: 'Choose another name, or pass --overwrite.',
  FORMAT_UNKNOWN: 'Use one of .lmsp, .lmsp.gz, .json or .ndjson; .csv and .parquet are written, never read.',
} as const;

export type ErrorCode = keyof typeof ERROR_HINTS;

/**
 * What a peer, a file or a disk can cause. Match on `code`, which is stable; `message` says what, where and why, `hint`
 * what to do. Misuse by our caller is a `TypeError` at the call instead.
 */
export class GametapeError extends Error {
  override readonly name = 'GametapeError';
  readonly code: ErrorCode;
  readonly hint: string;
  /** Seconds after which the same may be asked again, where time is all that is needed. */
  readonly retryAfterS: number | undefined;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; hint?: string; retryAfterS?: number }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfterS = options?.retryAfterS;
    const later = this.retryAfterS === undefined ? undefined : `Try again in ${this.retryAfterS} s.`;
    this.hint = options?.hint ?? later ?? ERROR_HINTS[code];
  }
}

/** True for a GametapeError of any copy of this package, of that code if one is given. */
export function isGametapeError(error: unknown, code?: ErrorCode): error is GametapeError {
  const candidate = error as { name?: unknown; code?: unknown } | null | undefined;
  return candidate?.name === 'GametapeError' && (code === undefined || candidate.code === code);
}

/** The same error with `where` in front of its message; anything else is returned as it is. */
export function located(where: string, error: unknown): unknown {
  if (!isGametapeError(error)) return error;
  const { code, message, hint, retryAfterS } = error;
  return new GametapeError(code, `${where}: ${message}`, { cause: error, hint, ...(retryAfterS && { retryAfterS }) });
}
