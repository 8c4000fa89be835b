import { crc32, type GametapeError } from '@gametape/shared';
import { expect, test } from 'vitest';
import { Outbox } from '../../client-sdk/dist/outbox.js';
import { openFileSpools } from '../../client-sdk/dist/platform/file-spool.js';
import { SessionSpool } from '../../client-sdk/dist/spool/session-spool.js';
import { readSpool } from '../../client-sdk/dist/spool/spool-records.js';
import { tempDir } from '../support/temp-dir.ts';

test('[W3] a spool holds no more than the session does, however long the relay is away', async () => {
  const store = await openFileSpools({ directory: await tempDir() });
  const kept = await store.create({ room: 'r', player: 'ann', instance: 'aa', createdMs: 1 });
  const head = { room: 'r', player: 'ann', instance: 'aa', profile: 'json', recordingId: 'rec' };
  const failures: GametapeError[] = [];
  const source = { head: () => head, helloState: new Uint8Array(0), clock: () => 1, onFailure: failures.push };
  const context = () => {
    throw new Error('nothing is settled here');
  };
  const spool = new SessionSpool(kept, { ...source, context }, crc32);
  let lost = 0;
  const outbox = new Outbox({
    connection: { isWritable: false, sendBytes: () => {} },
    flushMs: 1_000,
    now: () => 0,
    shown: () => 0,
    recordPending: () => {},
    onAllSent: () => {},
    onLost: (lastPseq) => {
      lost = lastPseq;
    },
    spool,
  });
  for (let n = 1; n <= 500; n++) {
    outbox.add(new Uint8Array(60_000).fill(n), n * 100);
    expect(spool.bytes).toBeLessThan(9 * 1024 * 1024);
  }
  outbox.stop();
  expect(lost).toBeGreaterThan(200);
  const segments = await kept.read();
  expect(segments.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBe(spool.bytes);
  const { messages, isSettled } = readSpool(segments, crc32);
  expect(isSettled).toBe(false);
  expect(messages[0]).toMatchObject({ firstPseq: 1, lastPseq: lost });
  expect(messages.slice(1).map(({ firstPseq }) => firstPseq)).toEqual(
    Array.from({ length: 500 - lost }, (_, index) => lost + 1 + index),
  );
  expect(failures).toEqual([]);
  await kept.remove();
  await store.close();
});
