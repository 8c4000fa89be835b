import type { GametapeError, Notice } from '@gametape/shared';

/** Tells a client what was refused without ending its connection. `pseq` is that of the event it is about, 0 if none. */
export function noticeOf({ code, message, retryAfterS }: GametapeError, pseq: number): Notice {
  return { kind: 'notice', code, message, pseq, ...(retryAfterS !== undefined && { retryAfterS }) };
}
