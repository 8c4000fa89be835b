import { readFile } from 'node:fs/promises';
import { connect, type Session } from '@gametape/client-sdk';
import type { SessionSummary } from '@gametape/shared';
import { expect, onTestFinished } from 'vitest';
import { type RelayProcess, readRecording } from './relay.ts';
import { waitFor, within } from './wait-for.ts';

/** What the SDK's backoff, the relay's own and a busy machine may come to. */
const RETURN_LIMIT_MS = 60_000;

/** A player that says numbered things and knows what it said. */
export class Talker {
  readonly session: Session;
  #said = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(session: Session) {
    this.session = session;
  }

  static async join(url: string, room: string, player: string): Promise<Talker> {
    const session = await connect({ url, room, player, profile: 'json', flushMs: 2, timeoutMs: 20_000 });
    const talker = new Talker(session);
    onTestFinished(() => talker.stop());
    return talker;
  }

  get said(): number {
    return this.#said;
  }

  /** Says something of about that many bytes, which do not compress. */
  say(bytes = 20): void {
    this.session.record({ type: 'said', data: { n: ++this.#said, text: noise(bytes) } });
  }

  /** Goes on by itself, but no further than its SDK can keep. */
  start(bytes = 20, everyMs = 1): void {
    this.#timer = setInterval(() => {
      if (this.session.status.pendingBytes < 2 * 1024 * 1024) this.say(bytes);
    }, everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Everybody is back, and everything they said is stable. */
export async function allStable(talkers: readonly Talker[]): Promise<void> {
  for (const { session } of talkers) {
    await within(`${session.player} to be stable`, session.stable(), RETURN_LIMIT_MS);
  }
}

/** Ends the room; its recording must have everything once, in order, and say so. */
export async function endWhole(relay: RelayProcess, talkers: readonly [Talker, ...Talker[]]): Promise<SessionSummary> {
  const summary = await within('the room to end', talkers[0].session.end(), RETURN_LIMIT_MS);
  await expectWhole(relay, talkers, summary);
  return summary;
}

export async function expectWhole(
  relay: RelayProcess,
  talkers: readonly Talker[],
  { recordingId, complete }: SessionSummary,
): Promise<void> {
  const { own } = await readRecording(await readFile(relay.recordingPath(recordingId)));
  for (const { session, said } of talkers) {
    const heard = own.filter(({ player, type }) => player === session.player && type === 'said');
    expect(
      heard.map(({ data }) => data.n),
      session.player,
    ).toEqual(Array.from({ length: said }, (_, i) => i + 1));
  }
  expect(complete).toBe(true);
}

/** `/readyz`: its status, and why it is red. */
export async function readiness({ url }: RelayProcess): Promise<{ status: number; reason: string }> {
  const response = await fetch(`${url}/readyz`);
  const text = await response.text();
  return { status: response.status, reason: response.ok ? '' : (JSON.parse(text) as { reason: string }).reason };
}

/** Waits until `/readyz` is red for that reason. */
export async function untilRed(relay: RelayProcess, reason: RegExp, limitMs = 30_000): Promise<string> {
  let last = 'nothing';
  try {
    return await waitFor(
      `/readyz to say ${reason}`,
      async () => {
        last = (await readiness(relay)).reason;
        return reason.test(last) && last;
      },
      limitMs,
    );
  } catch (error) {
    throw new Error(`${(error as Error).message}: it says ${JSON.stringify(last)}`);
  }
}

export async function untilGreen(relay: RelayProcess): Promise<void> {
  await waitFor('/readyz to be green', async () => (await readiness(relay)).status === 200, RETURN_LIMIT_MS);
}

function noise(bytes: number): string {
  let text = '';
  while (text.length < bytes) text += Math.random().toString(36).slice(2);
  return text.slice(0, bytes);
}
