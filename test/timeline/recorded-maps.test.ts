import { join } from 'node:path';
import { openRecording } from '@gametape/client-sdk';
import { NODE_FILES } from '@gametape/server';
import { type ClockMapRecord, RecordingReader, timeOnLine } from '@gametape/shared';
import { expect, test } from 'vitest';
import { gametape } from '../cli/gametape.ts';
import { RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';

test('[T1] [T2] [T5] a recording has raw stamps, every map they were placed by, and says how exact it is', async () => {
  const relay = await TestRelay.start();
  const player = await RawClient.join(relay.wsUrl, { player: 'honest', clock: Math.round(performance.now() * 1_000) });
  const liar = await RawClient.join(relay.wsUrl, { player: 'liar', clock: 0 });
  const probes = () => player.received.filter((message) => message.kind === 'ping').length;
  await waitFor('a few probes', () => probes() > 4);
  let stamp = 0;
  for (let pseq = 1; pseq <= 40; pseq++) {
    const now = Math.round(performance.now() * 10) * 100;
    player.events(pseq, [`h${pseq}`], { stampDelta: now - stamp });
    stamp = now;
    liar.events(pseq, [`l${pseq}`], { stampDelta: pseq % 2 === 0 ? -5_000_000 : 600_000_000 });
    if (pseq % 10 === 0) await Promise.all([player.accepted(pseq), liar.accepted(pseq)]);
  }
  liar.send({ kind: 'leave', lastPseq: 40 });
  player.send({ kind: 'end', lastPseq: 40, outcome: {} });
  const { summary } = await player.next('ended');
  const path = join(relay.dataDir, 'recordings', `${summary.recordingId}.lmsp`);
  const reader = await RecordingReader.open(await NODE_FILES.read(path));
  const maps = new Map<number, ClockMapRecord[]>();
  let [placed, asMapped] = [0, 0];
  for (const index of reader.blocks.keys()) {
    const { content } = await reader.readBlock(index);
    for (const map of content.clockMaps) maps.set(map.producer, [...(maps.get(map.producer) ?? []), map]);
    for (const entry of content.entries) {
      const map = maps.get(entry.producer)?.findLast(({ pseq }) => pseq <= entry.pseq);
      if (entry.stamp === null || reader.producers.get(entry.producer)?.player !== 'honest') continue;
      const mapped = map ? timeOnLine(map, entry.stamp) : Number.NaN;
      // Earlier if it came before, later only right behind another one.
      expect(entry.time <= mapped || entry.hlc > 0, `event ${entry.pseq} at ${entry.time}, by its map ${mapped}`).toBe(
        true,
      );
      placed++;
      if (entry.time === mapped) asMapped++;
    }
  }
  expect(placed).toBe(40);
  expect(asMapped).toBeGreaterThan(20);
  const [honest, lying] = ['honest', 'liar'].map(
    (name) => reader.summary?.players.find(({ id }) => id === name)?.clock,
  );
  expect(honest).toMatchObject({ unknown: 0, alarms: 0, backwards: 0 });
  expect(honest?.errorUs).toBeGreaterThan(0);
  expect(honest?.errorUs).toBeLessThan(1_000_000);
  expect(lying?.backwards).toBeGreaterThanOrEqual(20);
  expect(lying?.alarms).toBeGreaterThan(0);
  const tape = await openRecording(path);
  expect(tape.players.find(({ id }) => id === 'honest')?.clock).toEqual(honest);
  await tape.close();
  const { stdout } = await gametape(['info', path]);
  expect(stdout).toMatch(/times ±\d+\.\d ms/);
  expect(stdout).toContain('jumps of the clock');
});
