import { gunzipSync, gzipSync } from 'node:zlib';
import { openRecording } from '@gametape/client-sdk';
import { BytesSource } from '@gametape/shared';
import { cpuSeconds, type Side } from './support/alternate.ts';
import type { Bench, BenchOptions } from './support/bench.ts';
import { longSession, PLAYERS } from './support/long-session.ts';
import { openMcap, parsed, writeMcap } from './support/mcap-file.ts';
import { bodiesByPlayer, editsByPlayer, inLayout } from './support/mcap-layouts.ts';
import { writeTimeline } from './support/offline-room.ts';
import { type EventLine, type PeerEvent, peerEvents } from './support/peer-events.ts';
import { number, printLine, printTable, ratio, verdict } from './support/print.ts';
import { type Sample, sampleAt, sampleOf, timelineOf, titleOf } from './support/sample.ts';
import { typeOffline } from './support/trace-session.ts';
import { loadTraces } from './support/traces.ts';

const ROUNDS = 5;
/** Events a CPU second. */
const GOALS = { write: 300_000, read: 1_000_000 };

export const readWrite: Bench = {
  name: 'read-write',
  about: 'events a second, writing and reading all of a recording, against MCAP and NDJSON with gzip',
  run: async (options) => {
    for await (const sample of samples(options)) {
      const events = await peerEvents(sample.reader);
      await printWrite(sample, events);
      await printRead(sample, events);
    }
    printLine();
    printLine(
      `  Medians of ${ROUNDS} rounds in turns, of CPU seconds. A write starts from what a session hands over: bodies for`,
    );
    printLine(
      '  ours, objects for JSON; ours applies and checks every delta. A read touches type and data of every event. Deltas are',
    );
    printLine(
      '  decoded when a state is asked for: a read of the events alone decodes none of them, and no peer applies its edits.',
    );
  },
};

/** One at a time: the events of all would crowd the memory. */
async function* samples(options: BenchOptions): AsyncGenerator<Sample> {
  for (const trace of await loadTraces(options)) {
    yield await sampleOf(trace.name, await (await typeOffline([trace])).toBytes());
  }
  yield await sampleAt(`an hour of ${PLAYERS} players`, await longSession());
}

async function printWrite(sample: Sample, events: readonly PeerEvent[]): Promise<void> {
  const timeline = await timelineOf(sample);
  const producers = [...sample.reader.producers.values()];
  const ours = { name: 'ours', run: () => writeTimeline(timeline, producers) };
  const peers: Side[] = [
    { name: 'MCAP, JSON', run: () => writeMcap(inLayout(events, editsByPlayer)) },
    { name: 'MCAP, our bodies', run: () => writeMcap(inLayout(events, bodiesByPlayer)) },
    { name: 'NDJSON, gzip -6', run: () => writeNdjson(events) },
  ];
  await printRates(`write ${titleOf(sample)}`, sample.events, { ours: [ours], peers }, GOALS.write);
}

async function printRead(sample: Sample, events: readonly PeerEvent[]): Promise<void> {
  const mcap = new BytesSource(await writeMcap(inLayout(events, editsByPlayer)));
  const ndjson = writeNdjson(events);
  const whole = (count: number, expected: number) => {
    if (count !== expected) throw new Error(`${count} of ${expected} events were read`);
  };
  const ours: Side[] = [
    { name: 'ours, events', run: async () => whole(await readOurs(sample.bytes), sample.events) },
    { name: 'ours, every delta applied', run: async () => whole(await replayOurs(sample), sample.events) },
    { name: 'ours, state of each event', run: async () => whole(await readStates(sample.bytes), sample.events) },
  ];
  const peers: Side[] = [
    { name: 'MCAP, JSON', run: async () => whole(await readMcap(mcap), sample.events) },
    { name: 'NDJSON, gzip -6', run: () => whole(readNdjson(ndjson), sample.events) },
  ];
  await printRates(`read ${titleOf(sample)}`, sample.events, { ours, peers }, GOALS.read);
}

/** The goal, and what a peer is compared with, is the first of ours. */
async function printRates(
  title: string,
  events: number,
  { ours, peers }: { ours: readonly Side[]; peers: readonly Side[] },
  goal: number,
): Promise<void> {
  const seconds = await cpuSeconds([...ours, ...peers], ROUNDS);
  const [first = Number.NaN] = seconds.values();
  const rows = [...seconds].map(([name, taken], index) => {
    const compared = index < ours.length ? '' : ratio(taken, first);
    return [name, number(events / taken), compared, index === 0 ? verdict(events / first, { atLeast: goal }) : ''];
  });
  printTable(title, [['', 'events a second', 'ours / peer'], ...rows]);
}

async function readOurs(bytes: Uint8Array): Promise<number> {
  const tape = await openRecording(bytes);
  let count = 0;
  for await (const { type, data } of tape.events()) if (type !== '' && data) count++;
  await tape.close();
  return count;
}

async function replayOurs({ reader }: Sample): Promise<number> {
  let count = 0;
  for await (const { body } of reader.steps()) if (body.event) count++;
  return count;
}

/** The state of each event's player as a plain object, texts and all. */
async function readStates(bytes: Uint8Array): Promise<number> {
  const tape = await openRecording(bytes);
  let count = 0;
  for await (const { type, state } of tape.events()) if (type !== '' && state) count++;
  await tape.close();
  return count;
}

async function readMcap(source: BytesSource): Promise<number> {
  let count = 0;
  for await (const { data } of (await openMcap(source)).readMessages()) if (isEvent(parsed(data))) count++;
  return count;
}

function writeNdjson(events: readonly PeerEvent[]): Uint8Array {
  return gzipSync(events.map(({ time, player, line }) => `${JSON.stringify({ time, player, ...line })}\n`).join(''));
}

function readNdjson(bytes: Uint8Array): number {
  let count = 0;
  for (const text of gunzipSync(bytes).toString('utf8').split('\n')) {
    if (text !== '' && isEvent(JSON.parse(text) as EventLine)) count++;
  }
  return count;
}

function isEvent({ event }: EventLine): boolean {
  return event !== undefined && event.type !== '' && event.data !== undefined;
}
