import { connect, type Session } from '@gametape/client-sdk';
import { CloseCode } from '@gametape/shared';
import { afterEach, beforeEach, expect } from 'vitest';
import { TestRelay } from './relay.ts';
import { within } from './wait-for.ts';

/** A room in which two good players see each other, whatever a third one sends. */
export interface Bystanders {
  readonly relay: TestRelay;
  readonly errors: unknown[];
  /** Fails unless both still record, see each other and nothing else has come into the recording. */
  check(): Promise<void>;
}

/** Each test of the file fails where something is thrown that nobody catches, or every object has become another. */
export function watchFaults(): void {
  const prototype = describeObject(Object.prototype);
  let faults: unknown[] = [];
  const note = (error: unknown): void => {
    faults.push(error);
  };
  beforeEach(() => {
    faults = [];
    process.on('uncaughtExceptionMonitor', note);
  });
  afterEach(() => {
    process.off('uncaughtExceptionMonitor', note);
    expect(faults).toEqual([]);
    expect(describeObject(Object.prototype)).toEqual(prototype);
  });
}

export async function bystanders(): Promise<Bystanders> {
  const errors: unknown[] = [];
  const log = { info: () => {}, warn: () => {}, error: (...args: unknown[]) => errors.push(args) };
  const relay = await TestRelay.start({ log, dropGraceMs: 50 });
  const [a, b] = await Promise.all(['good-a', 'good-b'].map((player) => goodPlayer(relay, player)));
  let checks = 0;
  const check = async (): Promise<void> => {
    const text = `check ${++checks}`;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as [Session, Session][]) {
      const seen = new Promise<void>((resolve) => {
        const off = to.on('player_message', ({ player, data }) => {
          if (player !== from.player || data.message !== text) return;
          off();
          resolve();
        });
      });
      from.say(text);
      await within(`${to.player} to see ${text}`, seen);
      await from.stable();
    }
    const summary = await (a as Session).end();
    const good = summary.players.filter(({ id }) => id.startsWith('good-'));
    expect(good.map(({ expected, received, gaps }) => [expected, received, gaps])).toEqual([
      [1, 1, []],
      [1, 1, []],
    ]);
    await relay.recording(summary.recordingId);
  };
  return { relay, errors, check };
}

/** The relay has closed the socket, and said why. */
export function expectRefusal({ code, reason }: { code: number; reason: string }, where = ''): void {
  expect([CloseCode.BAD_MESSAGE, CloseCode.VERSION_UNKNOWN], `${where}: ${code} ${reason}`).toContain(code);
  expect(reason, where).toMatch(/^[A-Z_]+: ./);
  expect(Buffer.byteLength(reason), where).toBeLessThanOrEqual(123);
}

async function goodPlayer(relay: TestRelay, player: string): Promise<Session> {
  return await connect({ url: relay.wsUrl, room: 'arena', player, profile: 'json', state: { ok: true } });
}

function describeObject(object: object): unknown {
  return Object.getOwnPropertyNames(object).sort();
}
