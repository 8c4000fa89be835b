import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CloseCode } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';

const DELAY_MS = 8_000;

describe('a room with a delay that had ended when the relay stopped, and is made a recording by the next', () => {
  test('[V2] [W6] who watched is told of the end when that is due, although the recording is only just made', async () => {
    const relay = await TestRelay.start({ spectatorDelayMs: DELAY_MS });
    const ann = await RawClient.join(relay.wsUrl, { player: 'ann' });
    const { recordingId, epoch } = ann.welcome;
    ann.events(1, ['one']);
    await ann.stable(1);
    // Nothing can be written under this name: the recording is not made yet.
    const partial = join(relay.dataDir, 'recordings', `${recordingId}.lmsp.partial`);
    await mkdir(partial);
    const endedAt = performance.now();
    ann.send({ kind: 'end', outcome: {}, lastPseq: 1 });
    await waitFor('finishing to fail', () => isFinishing(relay));
    await relay.restart();
    await waitFor('finishing to fail again', () => isFinishing(relay));

    const comeBack = async (): Promise<RawClient> => {
      const client = await RawClient.open(relay.wsUrl);
      client.hello({ player: 'w', role: 'spectator', resume: { recordingId, epoch, seq: 0 } });
      return client;
    };
    const early = await comeBack();
    await rmdir(partial);
    expect(await early.end()).toMatchObject({ code: CloseCode.MOVED });
    expect(early.received).toEqual([]);
    await waitFor('it to be finished', async () => !(await isFinishing(relay)));
    const { status } = await relay.get(`/v1/recordings/${recordingId}.lmsp`);
    // A machine that is so busy may have made it only when it was due.
    if (status !== 404) expect(performance.now() - endedAt).toBeGreaterThanOrEqual(DELAY_MS);
    await waitFor('who comes back to be told', async () => {
      const client = await comeBack();
      await client.end();
      return client.received.some(({ kind }) => kind === 'ended');
    });
    expect(performance.now() - endedAt).toBeGreaterThanOrEqual(DELAY_MS);
  });
});

async function isFinishing(relay: TestRelay): Promise<boolean> {
  return (await relay.get('/readyz')).status === 503;
}
