import { CloseCode, encodeMessage, type Hello } from '@gametape/shared';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Connection } from '../../client-sdk/dist/connection.js';
import { NODE } from '../../client-sdk/dist/platform/node.js';
import type { Socket } from '../../client-sdk/dist/platform/platform.js';
import { ANY_WELCOME } from '../support/fake-relay.ts';
import { helloOf } from '../support/raw-client.ts';

const GONE = 1_006;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('[J7] [W9] a relay that said it stops is looked for once a second, for a minute; any other ever more slowly', () => {
  expect(longestWaitsAfter(CloseCode.DRAINING)).toEqual({ firstMinuteMs: 1_000, laterMs: 5_000 });
  expect(longestWaitsAfter(GONE)).toEqual({ firstMinuteMs: 5_000, laterMs: 5_000 });
});

/** The longest of all waits between two attempts to reach a relay that has closed with that code and is gone since, in ms, rounded up. */
function longestWaitsAfter(code: number): { firstMinuteMs: number; laterMs: number } {
  const sockets: Socket[] = [];
  // Of the jitter, the most.
  const platform = { ...NODE, now: () => performance.now() * 1_000, randomBytes: () => Uint8Array.of(255), openSocket };
  const connection = new Connection('ws://127.0.0.1:1', platform, {
    hello: (): Hello => helloOf(),
    clock: () => 0,
    welcome: () => {},
    message: () => {},
    status: () => {},
    outOfStep: () => {},
    over: () => {},
  });
  connection.open();
  close(code);
  const lostAt = performance.now();
  const waits = { firstMinuteMs: 0, laterMs: 0 };
  while (performance.now() < lostAt + 90_000) {
    const from = performance.now();
    const attempts = sockets.length;
    while (sockets.length === attempts) vi.advanceTimersByTime(1);
    const phase = from < lostAt + 60_000 ? 'firstMinuteMs' : 'laterMs';
    waits[phase] = Math.max(waits[phase], Math.ceil((performance.now() - from) / 100) * 100);
    close(GONE);
  }
  connection.close();
  return waits;

  function openSocket(): Socket {
    const socket = { binaryType: '', readyState: 1, bufferedAmount: 0, send: () => {}, close: () => {} };
    sockets.push({ ...socket, onopen: null, onmessage: null, onclose: null, onerror: null });
    return sockets.at(-1) as Socket;
  }

  function close(code: number): void {
    const socket = sockets.at(-1);
    if (sockets.length === 1) socket?.onmessage?.({ data: welcome() });
    socket?.onclose?.({ code, reason: '' });
  }
}

function welcome(): ArrayBuffer {
  const bytes = encodeMessage({ ...ANY_WELCOME, producer: 0, silenceMs: 600_000 });
  return bytes.slice().buffer as ArrayBuffer;
}
