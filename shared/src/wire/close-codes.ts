/** What an SDK does when a socket closes. The range says it, so that an old SDK does right with a new code (W9). */
export type CloseAction = 'stop' | 'back off' | 'resume now' | 'join afresh';

export const CloseCode = {
  LEFT: 4000,
  BAD_TOKEN: 4001,
  NOT_ALLOWED: 4002,
  ROOM_ENDED: 4003,
  VERSION_UNKNOWN: 4004,
  ROOM_FULL: 4006,
  SUPERSEDED: 4007,
  BAD_MESSAGE: 4009,
  SLOW: 4100,
  RATE_LIMITED: 4101,
  SILENT: 4102,
  SERVER_ERROR: 4103,
  JOURNAL_FAILED: 4105,
  DRAINING: 4200,
  MOVED: 4201,
  OUT_OF_STEP: 4202,
  WELCOME_CHANGED: 4203,
  EPOCH_GONE: 4300,
} as const;
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

export function closeAction(code: number): CloseAction {
  if (code >= 4000 && code < 4100) return 'stop';
  if (code >= 4200 && code < 4300) return 'resume now';
  if (code >= 4300 && code < 4400) return 'join afresh';
  // 41xx, and everything that networks, proxies and restarts cause (1001, 1006, 1011, 1012, ...).
  return 'back off';
}

/** Close reasons hold at most 123 bytes of UTF-8 (RFC 6455); longer ones are cut between code points. */
export function closeReason(text: string): string {
  const encoder = new TextEncoder();
  if (encoder.encode(text).length <= 123) return text;
  let cut = '';
  let bytes = 0;
  for (const point of text) {
    bytes += encoder.encode(point).length;
    if (bytes > 120) break;
    cut += point;
  }
  return `${cut}…`;
}
