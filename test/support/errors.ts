import { type ErrorCode, type GametapeError, isGametapeError } from '@gametape/shared';

/** The GametapeError that `act` throws, undefined when it throws none. Any other exception goes on: it is a bug. */
export function errorOf(act: () => unknown): GametapeError | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (isGametapeError(error)) return error;
    throw error;
  }
}

export function codeOf(act: () => unknown): ErrorCode | undefined {
  return errorOf(act)?.code;
}
