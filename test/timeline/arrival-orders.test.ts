import { join } from 'node:path';
import { NODE_COMPRESSION, NODE_FILES, timelineOrder } from '@gametape/server';
import { BodyEncoder, compareEntries, JSON_PROFILE, RecordingReader, type TimelineEntry } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { writeRecording } from '../../server/dist/recording/write-recording.js';
import { HandRoom } from '../support/hand-room.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { tempDir } from '../support/temp-dir.ts';

const PLAYERS = ['ada', 'ben', 'cy'];
const ORDERS = 100;
const EVENTS = 40;

interface Message {
  readonly player: number;
  readonly pseq: number;
  /** When it was really made, which its stamp says. */
  readonly time: number;
  readonly body: Uint8Array;
}

describe('the order of arrival', () => {
  test('[T3] [T6] 100 orders in which the same messages arrive leave the same recording, but for seqs', async () => {
    const messages = makeMessages(seededRandom(5));
    const expected = await recordingOf(messages, seededRandom(1));
    expect(expected.entries).toHaveLength(PLAYERS.length * (EVENTS + 1));
    const orders = new Set([expected.arrivals]);
    for (let seed = 2; seed <= ORDERS; seed++) {
      const { arrivals, ...recording } = await recordingOf(messages, seededRandom(seed));
      orders.add(arrivals);
      expect(recording.entries, `order ${seed}`).toEqual(expected.entries);
      expect(recording.summary, `order ${seed}`).toEqual(expected.summary);
    }
    expect(orders.size).toBe(ORDERS);
  });
});

describe('the order of the timeline in bounded memory', () => {
  test('[R6] [T3] a clock that stands still, in every block, costs time and no memory', async () => {
    const random = seededRandom(3);
    const blocks = Array.from({ length: 60 }, (_, block) => {
      const entries = Array.from({ length: 50 }, (_, i): TimelineEntry => {
        const seq = block * 50 + i + 1;
        const isFrozen = i % 4 === 0;
        const time = isFrozen ? 1_000 : block * 100_000 + Math.floor(random() * 100_000);
        const body = new Uint8Array(100).fill(seq % 256);
        return {
          seq,
          producer: isFrozen ? 0 : 1 + (i % 3),
          pseq: seq,
          time,
          hlc: isFrozen ? seq : 0,
          stamp: time,
          body,
        };
      });
      return { firstTime: 1_000, entries };
    });
    let [reads, firstReads] = [0, 0];
    const read = async ({ entries }: (typeof blocks)[number], isAgain: boolean) => {
      reads++;
      if (!isAgain) firstReads++;
      return entries.map((entry) => ({ ...entry }));
    };
    const mostBytes = 300 * 300;
    const placed: TimelineEntry[] = [];
    for await (const run of timelineOrder(blocks, read, { mostBytes })) {
      // What waits, and a block.
      expect(run.length).toBeLessThanOrEqual(300 + 50);
      placed.push(...run);
    }
    expect(placed).toEqual(blocks.flatMap(({ entries }) => entries).sort(compareEntries));
    expect(firstReads).toBe(blocks.length);
    expect(reads).toBeGreaterThan(blocks.length);
    expect(reads).toBeLessThan(blocks.length * 12);
  });
});

function makeMessages(random: () => number): Message[] {
  return PLAYERS.flatMap((player, index) => {
    const bodies = new BodyEncoder(JSON_PROFILE, NODE_COMPRESSION.crc32);
    bodies.replaceState({ text: '' }, 0);
    let time = 0;
    return Array.from({ length: EVENTS }, (_, i) => {
      time += 100 * Math.floor(random() * 5_000);
      const text = `${player}${i} `;
      if (i > 0) bodies.change([{ op: 'splice', key: 'text', at: 0, remove: 0, insert: text }], 0);
      return { player: index, pseq: i + 1, time, body: bodies.encode({ type: 'typed', data: { text } }, time) };
    });
  });
}

/** Sends them through a real room and journal: each player's in its order, after delays that only the order is due to. */
async function recordingOf(messages: readonly Message[], random: () => number) {
  const dataDir = await tempDir();
  const hand = await HandRoom.open(dataDir);
  const seats = PLAYERS.map((player) => hand.join(player).seat);
  // Half a round trip of a millisecond, and no drift: the clocks are known before anything happens.
  for (const { estimate } of seats) {
    for (let at = 0; at < 8_000; at += 2_000) {
      estimate.add({ sentAt: at, answeredAt: at + 1_000, clientReceived: at + 500, clientSent: at + 500 });
    }
  }
  const latest = PLAYERS.map(() => 0);
  const backAt = PLAYERS.map(() => (random() < 0.3 ? 30_000_000 * random() : 0));
  const inOrder = messages.map((message) => {
    const { player, time } = message;
    // Whoever is away sends everything when it is back.
    const delay = 21_000 + random() ** 3 * 2_000_000;
    const arrival = Math.round(Math.max(latest[player] ?? 0, backAt[player] ?? 0, time + delay));
    latest[player] = arrival;
    return { ...message, arrival };
  });
  inOrder.sort((a, b) => a.arrival - b.arrival);
  const arrivals: number[] = [];
  for (const [index, { player, pseq, time, body, arrival }] of inOrder.entries()) {
    const seat = seats[player] as (typeof seats)[number];
    hand.clock.nowUs = arrival;
    // What had arrived by the time it was made, its player may have been shown.
    const shown = PLAYERS.length + inOrder.filter((other) => other.arrival < time).length;
    const stampDelta = time - seat.context.stamp;
    hand.room.accept(seat, { kind: 'events-up', firstPseq: pseq, shown, events: [{ stampDelta, body }] });
    arrivals.push(player);
    if (index % 37 === 36) await hand.seal(0);
  }
  const endedAt = 60_000_000;
  const end = { endedAt, expected: PLAYERS.map((player) => [player, EVENTS] as const) };
  await hand.room.output.seal({ end, ...hand.room.leftOut() });
  const { recordingId } = hand.room;
  const target = join(dataDir, 'a.lmsp');
  await writeRecording({ sealed: await hand.journal.sealed(recordingId), target, formats: 'binary', end });
  await hand.journal.close();
  const source = await NODE_FILES.read(target);
  const reader = await RecordingReader.open(source);
  const entries: unknown[] = [];
  for await (const { entry } of reader.steps()) {
    const { time, hlc, producer, pseq, stamp, body } = entry;
    entries.push([time, hlc, producer, pseq, stamp, Buffer.from(body).toString('hex')]);
  }
  await source.close();
  const { digest: _, players, ...summary } = reader.summary ?? { players: [], digest: '' };
  // What is certain of a time depends on when it came: the bounds may differ, the times do not.
  const counts = players.map(({ clock: _clock, ...player }) => player);
  return { entries, summary: { ...summary, players: counts }, arrivals: arrivals.join('') };
}
