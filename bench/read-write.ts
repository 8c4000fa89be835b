import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { openRecording } from '@gametape/client-sdk';
import { NODE_COMPRESSION } from '@gametape/server';
import { type ByteSource, BytesSource, RecordingReader } from '@gametape/shared';
import { ndjsonLines } from '@gametape/shared/lmsp';
import type { Bench } from './support/bench.ts';
import { generatedSession } from './support/generated-session.ts';
import { rewriteMemory } from './support/memory.ts';
import { writeTimeline } from './support/offline-room.ts';
import { number, printLine, printTable, ratio, verdict } from './support/print.ts';
import { seededRandom } from './support/private-parts.ts';
import { median, percentile } from './support/statistics.ts';

const PLAYERS = 8;
/** What a typist of the traces' rhythm makes in about an hour. */
const EDITS = 18_000;
const ROUNDS = 5;
const SEEKS = 500;
const GOALS = { write: 300_000, read: 1_000_000, seekP99Ms: 5, openMs: 5, openReads: 2 };

export const readWrite: Bench = {
  name: 'read-write',
  about: 'writing and reading an hour of eight players, against NDJSON with gzip',
  run: async () => {
    const home = await mkdtemp(join(tmpdir(), 'gametape-bench-'));
    try {
      const room = await generatedSession(PLAYERS, EDITS);
      const timeline = room.timeline();
      const write = await timed(() => writeTimeline(timeline, room.producers));
      const path = join(home, 'long.lmsp');
      await writeFile(path, write.result);
      await printThroughput(path, write.seconds, write.result);
      await printSeeks(path, write.result);
      const shorter = await (await generatedSession(PLAYERS, EDITS / 4)).toBytes();
      const shorterPath = join(home, 'short.lmsp');
      await writeFile(shorterPath, shorter);
      await printMemory(shorterPath, path);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  },
};

async function printThroughput(path: string, writeS: number, bytes: Uint8Array): Promise<void> {
  const reader = await RecordingReader.open(new BytesSource(bytes), NODE_COMPRESSION);
  const lines: string[] = [];
  for await (const line of ndjsonLines(reader)) lines.push(line);
  const objects = lines.map((line) => JSON.parse(line) as object);
  const events = objects.length - 1;
  const peerWrite = await timed(() => gzipSync(objects.map((object) => `${JSON.stringify(object)}\n`).join('')));
  const peerRead = await timed(() => {
    let seen = 0;
    for (const line of gunzipSync(peerWrite.result).toString('utf8').split('\n')) {
      if (line !== '' && JSON.parse(line)) seen++;
    }
    return seen;
  });
  const read = await timed(async () => {
    const tape = await openRecording(path);
    let seen = 0;
    for await (const { data } of tape.events()) if (data) seen++;
    await tape.close();
    return seen;
  });
  const rate = (seconds: number) => number(events / seconds);
  printTable(
    `${number(events)} events of ${PLAYERS} players, ${number(bytes.length)} bytes; medians of ${ROUNDS}, CPU seconds`,
    [
      ['events a second', 'ours', 'NDJSON + gzip -6', 'ours / peer'],
      [
        'write',
        rate(writeS),
        rate(peerWrite.seconds),
        ratio(peerWrite.seconds, writeS),
        verdict(events / writeS, { atLeast: GOALS.write }),
      ],
      [
        'read',
        rate(read.seconds),
        rate(peerRead.seconds),
        ratio(peerRead.seconds, read.seconds),
        verdict(events / read.seconds, { atLeast: GOALS.read }),
      ],
      ['bytes', number(bytes.length), number(peerWrite.result.length), ratio(bytes.length, peerWrite.result.length)],
    ],
  );
  printLine(
    '  Both sides of a write start from what a session hands over; ours also checks every delta, and so does its read.',
  );
}

async function printSeeks(path: string, bytes: Uint8Array): Promise<void> {
  const random = seededRandom(1);
  const tape = await openRecording(path);
  const times: number[] = [];
  for (let i = 0; i < SEEKS; i++) {
    const at = random() * tape.duration;
    const startedAt = performance.now();
    await tape.statesAt(at);
    times.push(performance.now() - startedAt);
  }
  await tape.close();
  const opens: number[] = [];
  let reads = 0;
  for (let i = 0; i < ROUNDS * 10; i++) {
    const source = new CountingSource(bytes);
    const startedAt = performance.now();
    const reader = await RecordingReader.open(source, NODE_COMPRESSION);
    if (!reader.summary) throw new Error('expected a finished recording');
    opens.push(performance.now() - startedAt);
    reads = source.reads;
  }
  const p99 = percentile(times, 0.99);
  printTable('open and seek', [
    ['', 'p50', 'p99'],
    [
      'statesAt a random time, all players, ms',
      number(median(times)),
      number(p99),
      verdict(p99, { atMost: GOALS.seekP99Ms }),
    ],
    [
      'open, players and checkpoints, ms',
      number(median(opens)),
      number(percentile(opens, 0.99)),
      verdict(median(opens), { atMost: GOALS.openMs }),
    ],
    ['reads to open', number(reads), '', verdict(reads, { atMost: GOALS.openReads })],
  ]);
}

async function printMemory(shorter: string, longer: string): Promise<void> {
  const [short, long] = [await rewriteMemory(shorter), await rewriteMemory(longer)];
  printTable('memory of a process that reads a file and writes it anew (R6)', [
    ['', 'events', 'peak RSS, MiB'],
    ['a quarter of it', number(short.events), number(short.peakMiB)],
    ['all of it', number(long.events), number(long.peakMiB)],
    ['times', number(long.events / short.events), number(long.peakMiB / short.peakMiB)],
  ]);
}

/** Median CPU seconds of some rounds: on a machine that others use too, the clock on the wall tells more about them. */
async function timed<Result>(work: () => Result | Promise<Result>): Promise<{ result: Result; seconds: number }> {
  const seconds: number[] = [];
  let result = await work();
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    result = await work();
    const { user, system } = process.cpuUsage(before);
    seconds.push((user + system) / 1_000_000);
  }
  return { result, seconds: median(seconds) };
}

class CountingSource implements ByteSource {
  readonly name = 'bytes';
  reads = 0;
  readonly #source: BytesSource;

  constructor(bytes: Uint8Array) {
    this.#source = new BytesSource(bytes);
  }

  size(): Promise<number> {
    return this.#source.size();
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    this.reads++;
    return this.#source.read(offset, length);
  }
}
