import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileJournal, type Journal, MemoryJournal, NODE_COMPRESSION, RedisJournal } from '@gametape/server';
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
const ROUNDS = 3;
const SILENT = { info: () => {}, warn: () => {}, error: () => {} };

export const journals: Bench = {
  name: 'journals',
  about: `accepted and stable at ${EVENTS_PER_SECOND} events/s, and appended blocks per second beside a bare loop`,
  run: async ({ seconds }) => {
    const home = await mkdtemp(join(tmpdir(), 'gametape-bench-'));
    const servers: BenchRedis[] = [];
    try {
      const sides = [memorySide(), fileSide(home)];
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
        ['', 'gametape', 'bare', ''],
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
  /** The least that can be done for the same: appends batches of a block for each room. */
  readonly bare?: { readonly name: string; run(batches: number, block: Uint8Array): Promise<void> };
}

function memorySide(): Side {
  return { name: 'memory', open: async () => new MemoryJournal(NODE_COMPRESSION) };
}

function fileSide(home: string): Side {
  return {
    name: 'file',
    open: () => FileJournal.open(home, { compression: NODE_COMPRESSION, onDamage: () => {}, syncIntervalMs: 0 }),
    bare: {
      name: 'write and fdatasync',
      run: async (batches, block) => {
        const file = await open(join(home, 'bare'), 'w');
        for (let i = 0; i < batches; i++) {
          await file.writev(Array.from({ length: ROOMS }, () => block));
          await file.datasync();
        }
        await file.close();
      },
    },
  };
}

function redisSide(redis: BenchRedis, appendfsync: string, home: string): Side {
  return {
    name: `redis ${appendfsync}`,
    open: () =>
      RedisJournal.open({
        url: redis.url,
        compression: NODE_COMPRESSION,
        log: SILENT,
        onDamage: () => {},
        onLost: () => {},
        relayId: 'bench',
        spoolDirectory: join(home, 'spool'),
      }),
    bare: {
      name: 'pipeline of XADD',
      run: async (batches, block) => {
        const client = new Redis(redis.port, '127.0.0.1', { protocol: 2 });
        for (let i = 0; i < batches; i++) {
          const pipeline = client.pipeline();
          for (let room = 0; room < ROOMS; room++) pipeline.xadd(`bare-${room}`, '*', 'b', Buffer.from(block));
          await pipeline.exec();
        }
        client.disconnect();
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
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const writer of writers) writer.prepare(BATCHES);
    ours.push(await rate(() => appendAll(journal, writers, side.name)));
    theirs.push(await rate(() => bare.run(BATCHES, block)));
  }
  await finish(journal, writers);
  const [own, peer] = [median(ours), median(theirs)];
  return [`${side.name}, ${bare.name}`, number(own), number(peer), ratio(own, peer)];
}

/** The next batch goes when the one before is as safe as the bare loop's: everysec's own wait is no part of a rate. */
async function appendAll(journal: Journal, writers: readonly Writer[], name: string): Promise<void> {
  const until = name.includes('everysec') ? 'accepted' : 'stable';
  for (let batch = 0; batch < BATCHES; batch++) {
    await Promise.all(writers.map((writer) => writer.append(journal)[until]));
  }
}

async function rate(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (BATCHES * ROOMS * 1_000) / (performance.now() - startedAt);
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
