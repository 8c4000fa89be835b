import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';
import {
  type FinalizeJob,
  finalize,
  NODE_COMPRESSION,
  RecordingStore,
  timelineOrder,
  verifyRecording,
} from '@gametape/server';
import {
  BytesSource,
  FILE_HEADER_BYTES,
  isGametapeError,
  RecordingReader,
  type State,
  type TimelineEntry,
} from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { tempDir } from '../support/temp-dir.ts';
import { arrive, sealedBlocks, type TypedSession, typedSession, unfinishedFile } from '../support/typed-session.ts';

describe('the order of the timeline', () => {
  test('[T3] it is the same for every order in which entries arrived and every cut into blocks', async () => {
    const session = typedSession({ players: 4, events: 60 });
    const expected = order(session.entries.flat().sort((a, b) => a.time - b.time));
    for (let seed = 1; seed <= 50; seed++) {
      const arrived = shuffledArrival(session, seed);
      const blocks = chunks(arrived, 1 + (seed % 17)).map((entries) => {
        return { firstTime: Math.min(...entries.map(({ time }) => time)), entries };
      });
      const placed = await collect(timelineOrder(blocks, async ({ entries }) => entries));
      expect(order(placed), `seed ${seed}`).toEqual(expected);
    }
  });

  test('[R6] a block is read only when nothing earlier can come from the ones before it', async () => {
    const session = typedSession({ players: 1, events: 100 });
    const blocks = chunks(session.entries[0] ?? [], 10).map((entries) => ({
      firstTime: entries[0]?.time ?? 0,
      entries,
    }));
    let inMemory = 0;
    let most = 0;
    const read = async ({ entries }: (typeof blocks)[number]) => {
      inMemory += entries.length;
      most = Math.max(most, inMemory);
      return entries;
    };
    for await (const run of timelineOrder(blocks, read)) inMemory -= run.length;
    expect([most, inMemory]).toEqual([10, 0]);
  });

  test('[T3] entries of one time are told apart by the logical counter, then the player', async () => {
    const [entry] = typedSession({ players: 1, events: 1 }).entries[0] ?? [];
    const at = (hlc: number, producer: number, pseq: number) => ({ ...(entry as TimelineEntry), hlc, producer, pseq });
    const blocks = [[at(1, 0, 3), at(0, 1, 2)], [at(0, 1, 1)], [at(0, 0, 2)]].map((entries) => {
      return { firstTime: entry?.time ?? 0, entries };
    });
    const placed = await collect(timelineOrder(blocks, async ({ entries }) => entries));
    expect(placed.map(({ hlc, producer, pseq }) => [hlc, producer, pseq])).toEqual([
      [0, 0, 2],
      [0, 1, 1],
      [0, 1, 2],
      [1, 0, 3],
    ]);
  });
});

describe('finalize', () => {
  test('[T6] late entries are where they happened, and every state is what its player had', async () => {
    const session = typedSession({ players: 3, events: 200 });
    // Player 2 was away: everything of theirs arrives after everything else.
    const arrived = arrive([...byTime(session.entries.slice(0, 2).flat()), ...(session.entries[2] ?? [])]);
    const { reader, summary } = await finished(session, arrived);
    const texts = new Map<string, State>();
    const seen: TimelineEntry[] = [];
    for await (const { entry, context } of reader.steps()) {
      seen.push(entry);
      texts.set(context.player, context.state.toJson());
    }
    expect(order(seen)).toEqual(order(byTime(session.entries.flat())));
    const { contexts } = sealedBlocks(session, arrived, 64);
    expect(texts).toEqual(new Map(contexts.map(({ player, state }) => [player, state.toJson()])));
    expect(summary).toMatchObject({ complete: true, events: 600, endedAt: 30_000_000 });
    expect(reader.summary).toEqual(summary);
    expect(reader.meta).toEqual(session.meta);
  });

  test('[T3] random arrival gives the same events, checkpoints and states', async () => {
    const session = typedSession({ players: 3, events: 80 });
    const outlines: unknown[] = [];
    for (const seed of [1, 2, 3, 4]) {
      const { reader } = await finished(session, shuffledArrival(session, seed), { perBlock: 10 + seed * 7 });
      const entries: TimelineEntry[] = [];
      for await (const { entry } of reader.steps()) entries.push(entry);
      const checkpoints = reader.checkpoints.map(({ name, eventIndex, time, hashes }) => {
        return { name, eventIndex, time, hashes: [...hashes].sort(([a], [b]) => a - b) };
      });
      const hashes = [...(reader.summary?.hashes ?? [])].sort(([a], [b]) => a - b);
      outlines.push({ order: order(entries), checkpoints, hashes });
    }
    expect(outlines.slice(1)).toEqual(outlines.slice(1).map(() => outlines[0]));
  });

  test('[R4] checkpoints stand at their entry, with the states at that point of the timeline', async () => {
    const session = typedSession({ players: 2, events: 50 });
    const { reader } = await finished(session, shuffledArrival(session, 5), { perBlock: 9 });
    expect(reader.checkpoints.map(({ name }) => name)).toEqual(['after 20']);
    const [checkpoint] = reader.checkpoints;
    let hashes: [number, number][] = [];
    for await (const { entry, context } of reader.steps()) {
      hashes = [...hashes.filter(([producer]) => producer !== context.index), [context.index, context.state.hash()]];
      if (entry.seq === checkpoint?.seq) break;
    }
    expect([...(checkpoint?.hashes ?? [])].sort()).toEqual(hashes.sort());
    expect(checkpoint?.time).toBe(session.entries[0]?.[19]?.time);
  });

  test('[W6] what a player had and the relay did not get is stated', async () => {
    const session = typedSession({ players: 2, events: 30 });
    const { reader, summary } = await finished(session, arrive(byTime(session.entries.flat())), {
      gap: { producer: 1, firstPseq: 31, lastPseq: 40, reason: 'overflow' },
      expected: [
        ['player-0', 30],
        ['player-1', 40],
      ],
    });
    expect(summary.complete).toBe(false);
    expect(summary.players).toEqual([
      { id: 'player-0', events: 30, expected: 30, received: 30, gaps: [] },
      { id: 'player-1', events: 30, expected: 40, received: 30, gaps: [[31, 40]] },
    ]);
    expect(reader.gaps).toEqual([{ producer: 1, firstPseq: 31, lastPseq: 40, reason: 'overflow' }]);
  });

  test('[J4] a block that was sealed twice is in the file once', async () => {
    const session = typedSession({ players: 2, events: 30 });
    const { blocks } = sealedBlocks(session, arrive(byTime(session.entries.flat())), 16);
    const once = await run(await unfinishedFile(blocks));
    const twice = await run(await unfinishedFile([...blocks.slice(0, 2), ...blocks.slice(1)]));
    expect(twice.bytes.equals(once.bytes)).toBe(true);
  });

  test('[J6] a torn tail is left out; damage in the middle is set aside and stated, and the sealed file left alone', async () => {
    const session = typedSession({ players: 2, events: 30 });
    const { blocks } = sealedBlocks(session, arrive(byTime(session.entries.flat())), 16);
    const whole = await unfinishedFile(blocks);
    const torn = await run(whole.subarray(0, whole.length - 3));
    expect(torn.summary.events).toBe(48);
    const damaged = Uint8Array.from(whole);
    const second = FILE_HEADER_BYTES + (blocks[0]?.bytes.length ?? 0);
    damaged[second + 200] = (damaged[second + 200] as number) ^ 1;
    const path = join(await tempDir(), 'sealed.lmsp');
    await writeFile(path, damaged);
    const finished = await target();
    const { summary, damage } = await finalize(job({ kind: 'file', path }, finished));
    const length = blocks[1]?.bytes.length ?? 0;
    expect(damage).toMatchObject([{ path, offset: second, length }]);
    expect(await readFile(damage[0]?.copyPath ?? '')).toEqual(Buffer.from(damaged.subarray(second, second + length)));
    expect(summary.complete).toBe(false);
    expect(summary.players.map(({ received, gaps }) => [received, gaps])).toEqual([
      [22, [[9, 16]]],
      [22, [[9, 16]]],
    ]);
    expect((await verifyRecording(new BytesSource(await readFile(finished)))).problems).toEqual([]);
    expect((await readFile(path)).equals(damaged)).toBe(true);
  });

  test.each([
    ['the first', [0]],
    ['one in the middle', [1]],
    ['two in the middle', [1, 2]],
    ['the last, which says how the room ended', [3]],
    ['all but one in the middle', [0, 1, 3]],
  ])('[J6] sealed blocks are not there, %s: what is lost is stated, event by event', async (_, gone) => {
    const session = typedSession({ players: 2, events: 30 });
    const { blocks } = sealedBlocks(session, arrive(byTime(session.entries.flat())), 16);
    const path = await target();
    const sealed = await unfinishedFile(blocks.filter((_block, i) => !gone.includes(i)));
    const base = job({ kind: 'bytes', bytes: sealed }, path);
    const expected = session.producers.map(({ player }) => [player, 30] as const);
    const { summary, damage, lost } = await finalize({ ...base, end: { ...base.end, expected } });
    const numbers = [...Array(30).keys()].map((i) => i + 1);
    const isLost = (pseq: number) => gone.includes(Math.floor((pseq - 1) / 8));
    const ranges = numbers.filter(isLost).reduce<[number, number][]>((all, pseq) => {
      const last = all.at(-1);
      if (last?.[1] === pseq - 1) last[1] = pseq;
      else all.push([pseq, pseq]);
      return all;
    }, []);
    const received = numbers.filter((pseq) => !isLost(pseq)).length;
    expect(summary.complete).toBe(false);
    expect(summary.players).toEqual(
      ['player-0', 'player-1'].map((id) => ({ id, events: received, expected: 30, received, gaps: ranges })),
    );
    expect(damage).toEqual([]);
    expect(lost.length).toBeGreaterThan(0);
    expect((await verifyRecording(new BytesSource(await readFile(path)))).problems).toEqual([]);
  });

  test('[J6] blocks that were written again behind those that follow them are no loss', async () => {
    const session = typedSession({ players: 2, events: 30 });
    const { blocks } = sealedBlocks(session, arrive(byTime(session.entries.flat())), 16);
    const moved = await unfinishedFile([...blocks.slice(0, 1), ...blocks.slice(2), ...blocks.slice(1, 2)]);
    const { summary, bytes } = await run(moved);
    expect(summary.players.map(({ received, gaps }) => [received, gaps])).toEqual([
      [30, []],
      [30, []],
    ]);
    expect((await verifyRecording(new BytesSource(bytes))).problems).toEqual([]);
  });

  test('errors come back with their code', async () => {
    const path = join(await tempDir(), 'none.lmsp');
    const missing = finalize(job({ kind: 'file', path }, await target()));
    await expect(missing).rejects.toSatisfy((error) => isGametapeError(error, 'NOT_FOUND'));
    const sealed = await unfinishedFile(sealedBlocks(typedSession({ players: 1, events: 1 }), [], 1).blocks);
    const empty = finalize(job({ kind: 'bytes', bytes: sealed }, await target()));
    await expect(empty).rejects.toSatisfy((error) => isGametapeError(error, 'DAMAGED'));
    const whole = await sealedOf(typedSession({ players: 1, events: 5 }));
    const noDisk = finalize(job({ kind: 'bytes', bytes: whole }, '/dev/null/recording.lmsp'));
    await expect(noDisk).rejects.toSatisfy((error) => isGametapeError(error, 'JOURNAL_FAILED'));
  });

  test('[L2] the gzip format is LMSP JSON, and the binary file is only there when it is asked for', async () => {
    const session = typedSession({ players: 2, events: 20 });
    const bytes = await sealedOf(session);
    for (const formats of ['gzip', 'both'] as const) {
      const path = await target();
      await finalize({ ...job({ kind: 'bytes', bytes }, path), formats });
      const json = JSON.parse(gunzipSync(await readFile(`${path}.gz`)).toString()) as Record<string, unknown>;
      expect(json.recording_id).toBe(session.meta.recordingId);
      expect(json.events).toHaveLength(40);
      const names = await readdir(join(path, '..'));
      expect(names.sort()).toEqual(formats === 'both' ? ['a.lmsp', 'a.lmsp.gz'] : ['a.lmsp.gz']);
    }
  });

  test('[R1] killed at any moment, it can be done again and gives the same file', async () => {
    const session = typedSession({ players: 2, events: 1_500 });
    const sealed = join(await tempDir(), 'sealed.lmsp');
    await writeFile(sealed, await sealedOf(session));
    const expected = await run(await readFile(sealed));
    for (const sign of ['.partial', '.gz.partial', '.gz']) {
      const path = await target();
      await killWhen(`${path}${sign}`, { ...job({ kind: 'file', path: sealed }, path), formats: 'both' });
      await finalize({ ...job({ kind: 'file', path: sealed }, path), formats: 'both' });
      expect((await readFile(path)).equals(expected.bytes)).toBe(true);
      expect((await readdir(join(path, '..'))).sort()).toEqual(['a.lmsp', 'a.lmsp.gz']);
    }
  });

  test('many at once all finish', async () => {
    const bytes = await sealedOf(typedSession({ players: 1, events: 5 }));
    const jobs = await Promise.all(
      Array.from({ length: 6 }, async () => job({ kind: 'bytes', bytes }, await target())),
    );
    const summaries = await Promise.all(jobs.map((each) => finalize(each)));
    expect(summaries.map(({ summary }) => summary.events)).toEqual([5, 5, 5, 5, 5, 5]);
  });
});

describe('the recording store', () => {
  test('[R2] it lists what is finished and tells what the index says', async () => {
    const directory = await tempDir();
    const store = await RecordingStore.open(directory);
    const ids: string[] = [];
    for (const id of [2, 1]) {
      const session = typedSession({ players: 1, events: 5, id });
      ids.push(session.meta.recordingId);
      await finalize(job({ kind: 'bytes', bytes: await sealedOf(session) }, store.path(session.meta.recordingId)));
    }
    await writeFile(`${store.path(ids[0] as string)}.partial`, 'half');
    expect(await store.list()).toEqual(ids.toReversed());
    const info = await store.info(ids[0] as string);
    expect(info).toMatchObject({ recordingId: ids[0], room: 'typing', complete: true, events: 5, durationS: 30 });
    await rm(directory, { recursive: true });
  });

  test('[S1] nothing but an id becomes a path', async () => {
    const store = await RecordingStore.open(await tempDir());
    for (const id of ['../x', '', 'a/b', 'a.b', 'x'.repeat(65)]) {
      await expect(store.info(id)).rejects.toSatisfy((error) => isGametapeError(error, 'BAD_ID'));
    }
    await expect(store.info('unknown')).rejects.toSatisfy((error) => isGametapeError(error, 'NOT_FOUND'));
  });
});

interface FinishOptions {
  readonly perBlock?: number;
  readonly gap?: { producer: number; firstPseq: number; lastPseq: number; reason: string };
  readonly expected?: FinalizeJob['end']['expected'];
}

/** Seals what arrived, with a checkpoint at the first player's 20th entry, finishes it and opens the file. */
async function finished(session: TypedSession, arrived: readonly TimelineEntry[], options: FinishOptions = {}) {
  const { perBlock = 64, gap, expected } = options;
  const { blocks } = sealedBlocks(session, arrived, perBlock, (builder, { seq, time, producer, pseq }) => {
    if (producer === 0 && pseq === 20) builder.checkpoint({ name: 'after 20', seq, time, eventIndex: 0, hashes: [] });
    if (gap && seq === arrived.length) builder.gap(gap);
  });
  const { bytes, summary } = await run(await unfinishedFile(blocks), expected);
  return { reader: await RecordingReader.open(new BytesSource(bytes), NODE_COMPRESSION), summary };
}

async function run(sealed: Uint8Array, expected: FinalizeJob['end']['expected'] = []) {
  const path = await target();
  const base = job({ kind: 'bytes', bytes: sealed }, path);
  const { summary } = await finalize({ ...base, end: { ...base.end, expected } });
  return { summary, bytes: await readFile(path) };
}

function job(sealed: FinalizeJob['sealed'], path: string): FinalizeJob {
  return { sealed, target: path, formats: 'binary', end: { endedAt: 30_000_000, expected: [] } };
}

async function target(): Promise<string> {
  return join(await tempDir(), 'a.lmsp');
}

async function sealedOf(session: TypedSession): Promise<Uint8Array> {
  return await unfinishedFile(sealedBlocks(session, arrive(byTime(session.entries.flat())), 500).blocks);
}

/** Does the job in a process of its own and kills that as soon as `path` is there. */
async function killWhen(path: string, killed: FinalizeJob): Promise<void> {
  const server = pathToFileURL(createRequire(import.meta.url).resolve('@gametape/server')).href;
  const script = `
    import { existsSync } from 'node:fs';
    import { finalize } from ${JSON.stringify(server)};
    setInterval(() => existsSync(${JSON.stringify(path)}) && process.kill(process.pid, 'SIGKILL'), 1);
    await finalize(${JSON.stringify(killed)});
  `;
  const stdio = ['ignore', 'ignore', 'inherit'] as const;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: [...stdio] });
  const [, signal] = await once(child, 'exit');
  expect(signal).toBe('SIGKILL');
}

/** Entries of each player in their order, players interleaved at random. */
function shuffledArrival(session: TypedSession, seed: number): TimelineEntry[] {
  const queues = session.entries.map((entries) => [...entries]);
  const arrived: TimelineEntry[] = [];
  let state = seed;
  for (;;) {
    const open = queues.filter((queue) => queue.length > 0);
    if (open.length === 0) return arrive(arrived);
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const next = open[(state >>> 16) % open.length]?.shift();
    if (next) arrived.push(next);
  }
}

function byTime(entries: readonly TimelineEntry[]): TimelineEntry[] {
  return [...entries].sort((a, b) => a.time - b.time);
}

/** All of each entry but its seq, which tells when it arrived. */
function order(entries: readonly TimelineEntry[]): string[] {
  return entries.map(({ time, hlc, producer, pseq, stamp, body }) => {
    return [time, hlc, producer, pseq, stamp, Buffer.from(body).toString('hex')].join(' ');
  });
}

function chunks<Item>(items: readonly Item[], length: number): Item[][] {
  const count = Math.ceil(items.length / length);
  return Array.from({ length: count }, (_, i) => items.slice(i * length, (i + 1) * length));
}

async function collect(runs: AsyncIterable<readonly TimelineEntry[]>): Promise<TimelineEntry[]> {
  const all: TimelineEntry[] = [];
  for await (const entries of runs) all.push(...entries);
  return all;
}
