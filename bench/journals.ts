import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileJournal, type Journal, MemoryJournal, NODE_COMPRESSION } from '@gametape/server';
import { BlockBuilder, makeRecordingId, NO_BLOCK } from '@gametape/shared';
import { Redis } from 'ioredis';
import type { Bench } from './support/bench.ts';
import { BenchRedis } from './support/bench-redis.ts';
import { number, printTable, ratio, warn } from './support/print.ts';
import { median, percentile } from './support/statistics.ts';

const ROOMS = 50;
const EVENTS_PER_SECOND = 5_000;
const FLUSH_MS = 16;
/** Events of one room in one flush, at that rate. */
const PER_BLOCK = Math.round((EVENTS_PER_SECOND * FLUSH_MS) / 1_000 / ROOMS);
const BODY = new Uint8Array(14).fill(7);
/** As many blocks as fit into one flush of all rooms travel together, on both sides. */
const BATCHES = 400;
const ROUNDS = 5;

export const journals: Bench = {
  name: 'journals',
  about: `accepted and stable at ${EVENTS_PER_SECOND} events/s, and appended blocks per second beside a bare loop`,
  run: async ({ seconds }) => {
    const home = await mkdtemp(join(tmpdir(), 'gametape-bench-'));
    const servers: BenchRedis[] = [];
    try {
      const sides = [memorySide(), relayFileSide(home), fileSide(home)];
      for (const appendfsync of ['always', 'everysec'] as const) {
        const redis = await BenchRedis.start(appendfsync);
        if (redis) {
          servers.push(redis);
          sides.push(redisSide(redis, appendfsync, home));
        } else warn('redis-server is not installed: no figures for the journal in Redis');
      }
      const acks: string[][] = [];
      const rates: string[][] = [];
      for (const side of sides) {
        const { accepted, stable } = await measureAcks(side, seconds);
        const figures = [accepted, stable].flatMap((times) => [percentile(times, 0.5), percentile(times, 0.99)]);
        acks.push([side.name, ...figures.map(number)]);
        if (side.bare) rates.push(await compare(side, side.bare));
      }
      printTable(`ms to an ack, ${ROOMS} rooms, ${EVENTS_PER_SECOND} events/s, journal alone`, [
        ['', 'accepted p50', 'p99', 'stable p50', 'p99'],
        ...acks,
      ]);
      printTable(`blocks of ${PER_BLOCK} events appended per second, ${ROOMS} at once, until they are stable`, [
        ['', 'gametape', 'bare', '', 'CPU us a block', 'bare', ''],
        ...rates,
      ]);
    } finally {
      for (const redis of servers) await redis.close();
      await rm(home, { recursive: true, force: true });
    }
  },
};

interface Side {
  readonly name: string;
  open(): Promise<Journal>;
  readonly bare?: { readonly name: string; open(): Promise<Bare> };
}

/** The least that can be done for the same: appends batches of a block for each room. */
interface Bare {
  run(batches: number, block: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

function memorySide(): Side {
  return { name: 'memory', open: async () => new MemoryJournal(NODE_COMPRESSION) };
}

/** As a relay opens it: a sync every 20 ms at the most. */
function relayFileSide(home: string): Side {
  const directory = join(home, 'relay');
  return {
    name: 'file, as in a relay',
    open: async () => {
      await mkdir(directory);
      return await FileJournal.open(directory, { compression: NODE_COMPRESSION, onDamage: () => {} });
    },
  };
}

function fileSide(home: string): Side {
  return {
    name: 'file, sync after sync',
    open: () => FileJournal.open(home, { compression: NODE_COMPRESSION, onDamage: () => {}, syncIntervalMs: 0 }),
    bare: {
      name: 'write and fdatasync',
      open: async () => {
        const file = await open(join(home, 'bare'), 'w');
        const run = async (batches: number, block: Uint8Array) => {
          for (let i = 0; i < batches; i++) {
            await file.writev(Array.from({ length: ROOMS }, () => block));
            await file.datasync();
          }
        };
        return { run, close: () => file.close() };
      },
    },
  };
}

function redisSide(redis: BenchRedis, appendfsync: string, home: string): Side {
  return {
    name: `redis ${appendfsync}`,
    open: () => redis.journal(home),
    bare: {
      name: 'pipeline of XADD',
      open: async () => {
        const client = new Redis(redis.port, '127.0.0.1', { protocol: 2 });
        await client.ping();
        const run = async (batches: number, block: Uint8Array) => {
          const payload = Buffer.from(block);
          for (let i = 0; i < batches; i++) {
            const pipeline = client.pipeline();
            for (let room = 0; room < ROOMS; room++) pipeline.xadd(`bare-${room}`, '*', 'b', payload);
            await pipeline.exec();
          }
        };
        return { run, close: async () => client.disconnect() };
      },
    },
  };
}

async function measureAcks(side: Side, seconds: number): Promise<{ accepted: number[]; stable: number[] }> {
  const journal = await side.open();
  const writers = await openRooms(journal);
  const accepted: number[] = [];
  const stable: number[] = [];
  const pending: Promise<void>[] = [];
  const flushes = Math.ceil((seconds * 1_000) / FLUSH_MS);
  const startedAt = performance.now();
  for (let flush = 0; flush < flushes; flush++) {
    const waitMs = startedAt + flush * FLUSH_MS - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const at = performance.now();
    for (const writer of writers) {
      const appended = writer.append(journal);
      pending.push(appended.accepted.then(() => void accepted.push(performance.now() - at)));
      pending.push(appended.stable.then(() => void stable.push(performance.now() - at)));
    }
  }
  await Promise.all(pending);
  await finish(journal, writers);
  return { accepted, stable };
}

/** Rounds take turns, so that both sides see the same machine. */
async function compare(side: Side, bare: NonNullable<Side['bare']>): Promise<string[]> {
  const journal = await side.open();
  const writers = await openRooms(journal);
  const block = writers[0]?.make() as Uint8Array;
  const peer = await bare.open();
  const ours: Cost[] = [];
  const theirs: Cost[] = [];
  // The first round is not counted: it compiles what both need.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const writer of writers) writer.prepare(BATCHES);
    const costs = [
      await costOf(() => appendAll(journal, writers, side.name)),
      await costOf(() => peer.run(BATCHES, block)),
    ] as const;
    if (round === 0) continue;
    ours.push(costs[0]);
    theirs.push(costs[1]);
  }
  await peer.close();
  await finish(journal, writers);
  const [rate, peerRate] = [ours, theirs].map((costs) => median(costs.map(({ perSecond }) => perSecond)));
  const [cpu, peerCpu] = [ours, theirs].map((costs) => median(costs.map(({ cpuUs }) => cpuUs)));
  const rates = [number(rate ?? 0), number(peerRate ?? 0), ratio(rate ?? 0, peerRate ?? 0)];
  return [
    `${side.name}, ${bare.name}`,
    ...rates,
    number(cpu ?? 0),
    number(peerCpu ?? 0),
    ratio(cpu ?? 0, peerCpu ?? 0),
  ];
}

/** The next batch goes when the one before is as safe as the bare loop's: everysec's own wait is no part of a rate. */
async function appendAll(journal: Journal, writers: readonly Writer[], name: string): Promise<void> {
  const until = name.includes('everysec') ? 'accepted' : 'stable';
  for (let batch = 0; batch < BATCHES; batch++) {
    await Promise.all(writers.map((writer) => writer.append(journal)[until]));
  }
}

interface Cost {
  readonly perSecond: number;
  /** Of this process and its threads, a block: what Redis takes is the same on both sides. */
  readonly cpuUs: number;
}

async function costOf(work: () => Promise<void>): Promise<Cost> {
  const blocks = BATCHES * ROOMS;
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  await work();
  const tookMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { perSecond: (blocks * 1_000) / tookMs, cpuUs: (user + system) / blocks };
}

async function openRooms(journal: Journal): Promise<Writer[]> {
  return await Promise.all(
    Array.from({ length: ROOMS }, async (_, index) => {
      const writer = new Writer(index);
      await journal.claim(writer.room);
      journal.begin(writer.room, writer.recordingId);
      return writer;
    }),
  );
}

async function finish(journal: Journal, writers: readonly Writer[]): Promise<void> {
  for (const { recordingId } of writers) await journal.discard(recordingId);
  await journal.close();
}

/** What one room appends. */
class Writer {
  readonly room: string;
  readonly recordingId: string;
  readonly #builder: BlockBuilder;
  #seq = 0;
  readonly #prepared: { readonly block: Uint8Array; readonly lastSeq: number }[] = [];

  constructor(index: number) {
    this.room = `room-${index}`;
    this.recordingId = makeRecordingId(1_700_000_000_000 + index, new Uint8Array(10).fill(index));
    this.#builder = new BlockBuilder(this.recordingId, 1, NODE_COMPRESSION);
  }

  make(): Uint8Array {
    for (let i = 0; i < PER_BLOCK; i++) {
      const seq = ++this.#seq;
      const time = seq * 1_000;
      this.#builder.add({ seq, producer: 0, pseq: seq, time, hlc: 0, stamp: time, body: BODY });
    }
    return this.#builder.close(NO_BLOCK, { compress: false }).bytes;
  }

  /** Makes blocks before anybody looks at the clock. */
  prepare(count: number): void {
    for (let i = 0; i < count; i++) this.#prepared.push({ block: this.make(), lastSeq: this.#seq });
    // They are taken from the end.
    this.#prepared.reverse();
  }

  append(journal: Journal): ReturnType<Journal['append']> {
    const { block, lastSeq } = this.#prepared.pop() ?? { block: this.make(), lastSeq: this.#seq };
    return journal.append(this.recordingId, block, lastSeq);
  }
}
