import { connect } from '@gametape/client-sdk';
import { CloseCode, isGametapeError, LIMITS } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';

describe('what a room may come to hold', () => {
  test('[S2] states that would be too large together are refused, and nobody else notices', async () => {
    const relay = await TestRelay.start({ silenceMs: 30_000 });
    const text = 'x'.repeat(LIMITS.stateBytes - 200);
    const join = (player: string, state: { text: string }) => {
      return connect({ url: relay.wsUrl, room: 'arena', player, profile: 'json', state });
    };
    const fits = Math.floor(LIMITS.roomStateBytes / LIMITS.stateBytes);
    const first = await join('p0', { text });
    for (let i = 1; i < fits; i++) await join(`p${i}`, { text });
    const refused = await join('late', { text }).catch((error: unknown) => error);
    expect(isGametapeError(refused, 'LIMIT_EXCEEDED')).toBe(true);
    expect(String(refused)).toContain('room arena');
    const small = await join('small', { text: 'abc' });
    small.say('I fit');
    small.setState({ text });
    const error = await new Promise<Error>((resolve) => small.on('error', resolve));
    expect(isGametapeError(error, 'LIMIT_EXCEEDED')).toBe(true);
    first.say('still here');
    await first.stable();
    const { own, states } = await relay.recording((await first.end()).recordingId);
    expect(own.map(({ data }) => data.message)).toEqual(['I fit', 'still here']);
    expect(states.get('small')).toEqual({ text: 'abc' });
    expect(states.size).toBe(fits + 1);
  });

  test('[S2] [S4] more events at once than a block may have go into several', async () => {
    const relay = await TestRelay.start({ flushMs: 60_000, silenceMs: 30_000 });
    const client = await RawClient.join(relay.wsUrl);
    const perMessage = 2_000;
    const count = 2 * 66 * perMessage;
    expect(count).toBeGreaterThan(2 * LIMITS.blockEntries);
    for (let from = 1; from <= count; from += perMessage) {
      client.events(
        from,
        Array.from({ length: perMessage }, (_, i) => `t${from + i}`),
      );
    }
    client.send({ kind: 'end', lastPseq: count, outcome: {} });
    // A quarter of a million events take seconds where nobody else has the machine.
    const { summary } = await client.next('ended', () => true, 150_000);
    expect(summary).toMatchObject({ complete: true });
    const { own } = await relay.recording(summary.recordingId);
    expect(own).toHaveLength(count);
    expect(own.every(({ pseq }, i) => pseq === i + 1)).toBe(true);
  });

  test('[S2] [W3] a room states so many gaps, and no more', async () => {
    const relay = await TestRelay.start({ silenceMs: 30_000 });
    const other = await connect({ url: relay.wsUrl, room: 'arena', player: 'other', profile: 'json' });
    const client = await RawClient.join(relay.wsUrl, { room: 'arena' });
    for (let pseq = 1; pseq <= LIMITS.gaps + 1; pseq++) {
      client.send({ kind: 'gap', firstPseq: pseq, lastPseq: pseq, reason: 'on purpose' });
    }
    const { code, reason } = await client.end();
    expect([code, reason]).toEqual([CloseCode.BAD_MESSAGE, expect.stringContaining('gaps')]);
    other.say('still here');
    const summary = await other.end();
    expect(summary.complete).toBe(false);
    expect(summary.players.find(({ id }) => id === 'raw')?.gaps).toHaveLength(LIMITS.gaps);
    const { own } = await relay.recording(summary.recordingId);
    expect(own.map(({ data }) => data.message)).toEqual(['still here']);
  });

  test('[S2] a name for one more checkpoint than a recording has room for is answered', async () => {
    const relay = await TestRelay.start({ silenceMs: 30_000, checkpointsPerMinute: 2 * LIMITS.checkpoints });
    const session = await connect({ url: relay.wsUrl, room: 'arena', player: 'a', profile: 'json' });
    const errors: unknown[] = [];
    session.on('error', (error) => errors.push(error));
    for (let i = 0; i <= LIMITS.checkpoints; i++) session.record({ type: 'checkpoint', data: { name: `c${i}` } });
    await session.stable();
    await waitFor('the answer', () => errors.some((error) => isGametapeError(error, 'LIMIT_EXCEEDED')));
    const { checkpoints, own } = await relay.recording((await session.end()).recordingId);
    expect(checkpoints).toHaveLength(LIMITS.checkpoints);
    expect(own).toHaveLength(LIMITS.checkpoints + 1);
  });
});
