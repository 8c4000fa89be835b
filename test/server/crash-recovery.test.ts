import { FileJournal, MemoryJournal, NODE_COMPRESSION, type RecoveredBlock, startRelay } from '@gametape/server';
import { BlockBuilder, EventType, JSON_PROFILE, NO_BLOCK, ProducerContext, type TimelineEntry } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { relayBody } from '../../server/dist/room/relay-bodies.js';
import { recoverRoom } from '../../server/dist/room/room-recovery.js';
import type { RestoredProducer } from '../../server/dist/room/room-start.js';
import { Seat } from '../../server/dist/room/seat.js';
import { messageBody } from '../support/raw-client.ts';
import { type DiskCall, type DiskFault, SimulatedDisk } from '../support/simulated-disk.ts';
import { tempDir } from '../support/temp-dir.ts';
import { plainBlock, recordingId } from '../support/typed-session.ts';
import { waitFor } from '../support/wait-for.ts';

const ID = recordingId(1);
const NOTHING_SURVIVES = () => 0.999_999;

describe('a journal that was killed and then lost power', () => {
  test('[J4] a sealed block whose sync was not over is still there', async () => {
    let hangs = false;
    const later = (call: DiskCall, done: () => void) => {
      if (!hangs || call !== 'datasync') done();
    };
    const disk = new SimulatedDisk({ random: NOTHING_SURVIVES, later });
    const journal = await open(disk);
    await journal.append(ID, plainBlock(1, 1, 5), 5).stable;
    hangs = true;
    void journal.seal(ID, plainBlock(1, 1, 5), 5);
    await turns();
    disk.killProcess();
    hangs = false;
    expect(await seqs(await open(disk))).toEqual([[1, 5, true]]);
    disk.losePower();
    expect(await seqs(await open(disk))).toEqual([[1, 5, true]]);
  });

  test('[J5] a sealed block whose sync failed is not believed to be on the disk by a later one', async () => {
    let fault: DiskFault | undefined;
    const disk = new SimulatedDisk({
      random: NOTHING_SURVIVES,
      fault: (call) => (call === 'datasync' ? fault : undefined),
    });
    const journal = await open(disk);
    await journal.append(ID, plainBlock(1, 1, 5), 5).stable;
    fault = { code: 'EIO' };
    await expect(journal.seal(ID, plainBlock(1, 1, 5), 5)).rejects.toMatchObject({ code: 'JOURNAL_FAILED' });
    fault = undefined;
    disk.killProcess();
    await open(disk);
    disk.losePower();
    expect(await seqs(await open(disk))).toEqual([[1, 5, true]]);
  });

  test('[J5] parts of a tail that was written anew elsewhere are put where they belong', async () => {
    const disk = new SimulatedDisk({ random: NOTHING_SURVIVES });
    const [one, two, three] = [plainBlock(1, 1, 2), plainBlock(1, 3, 2), plainBlock(1, 5, 2)];
    const hole = new Uint8Array(two.length);
    disk.put('/data/journal/0000000000000001.log', Buffer.concat([one, hole, three]));
    disk.put('/data/journal/0000000000000002.log', Buffer.concat([two, three, plainBlock(1, 7, 2)]));
    expect(await seqs(await open(disk))).toEqual([
      [1, 2, false],
      [3, 4, false],
      [5, 6, false],
      [7, 8, false],
    ]);
  });
});

describe('a room whose journal has a hole', () => {
  test('[J4] what comes after it of a producer is left out, to be sent again; the others lose nothing', async () => {
    const room = new Blocks();
    const [a, b] = [room.joined('a'), room.joined('b')];
    room.say(a, 'a1');
    room.say(a, 'a2');
    const whole = room.close();
    room.say(a, 'a3');
    room.close();
    room.say(b, 'b1');
    room.say(a, 'a4');
    room.checkpoint('of a4');
    const after = room.close();
    const { start, cut } = await recovered([whole, after]);
    expect(cut).toEqual(['a']);
    expect(start.producers.map(({ context }) => context.pseq)).toEqual([2, 1]);
    // Numbers that were given are not given again, and whoever was shown what is gone starts over.
    expect([start.headSeq, start.epochEnds.get(1)]).toEqual([7, 4]);
    expect([...start.checkpoints.keys()]).toEqual([]);
  });

  test('[J4] [W6] what is left out is no more once it has come, also for whoever recovers the room after that', async () => {
    const room = new Blocks();
    const a = room.joined('a');
    room.say(a, 'a1');
    const whole = room.close();
    room.say(a, 'a2');
    room.close();
    room.say(a, 'a3');
    const { start } = await recovered([whole, room.close()]);
    const seat = Seat.restored(start.producers[0] as RestoredProducer, 0);
    expect([seat.context.pseq, seat.describe().leftOut]).toEqual([1, 3]);
    seat.context.skipTo(3);
    expect(seat.describe().leftOut).toBe(0);
  });

  test('[J4] a producer whose joining is gone comes back as one that has not joined', async () => {
    const room = new Blocks();
    const a = room.joined('a');
    room.say(a, 'a1');
    const whole = room.close();
    const b = room.declared('b');
    const declared = room.close();
    room.join(b);
    room.close();
    room.say(b, 'b1');
    const after = room.close();
    const { start } = await recovered([whole, declared, after]);
    expect(start.producers.map(({ hasJoined, context }) => [hasJoined, context.pseq])).toEqual([
      [true, 1],
      [false, 0],
    ]);
  });

  test('[J4] [W6] a player whose being superseded is gone keeps no room from being finished', async () => {
    const room = new Blocks();
    const before = room.joined('a');
    room.say(before, 'a1');
    const whole = room.close();
    room.say(before, 'a2');
    room.close();
    room.say(before, 'a3');
    room.leave(before, 'superseded');
    room.joined('a', 'a-2');
    const after = room.close();
    const dataDir = await tempDir();
    const journal = await FileJournal.open(dataDir, { compression: NODE_COMPRESSION, onDamage: () => {} });
    for (const { bytes, lastSeq } of [whole, after]) journal.append(ID, bytes, lastSeq);
    await journal.close();
    const relay = await startRelay({ dataDir, port: 0, viewer: false, dropGraceMs: 20, idleFinishMs: 20 });
    try {
      await waitFor('the recording', async () => (await fetch(`${relay.url}/v1/recordings/${ID}`)).ok);
    } finally {
      await relay.close();
    }
  });

  test('[W3] a gap that its producer has stated is none', async () => {
    const room = new Blocks();
    const a = room.joined('a');
    room.say(a, 'a1');
    room.gap(a, 4);
    room.say(a, 'a5');
    const { start, cut } = await recovered([room.close()]);
    expect([cut, start.producers[0]?.context.pseq]).toEqual([[], 5]);
  });
});

/** The journal blocks of one room, made as the room makes them. */
class Blocks {
  readonly #builder = new BlockBuilder(ID, 1, NODE_COMPRESSION);
  readonly #contexts: ProducerContext[] = [];
  #seq = 0;

  constructor() {
    this.#builder.meta({ recordingId: ID, room: 'arena', profile: 'json', createdAt: 1_700_000_000 });
  }

  declared(player: string, instance = `${player}-1`): ProducerContext {
    const context = new ProducerContext(JSON_PROFILE, { index: this.#contexts.length, player, instance });
    this.#contexts.push(context);
    this.#builder.producer(context);
    return context;
  }

  joined(player: string, instance?: string): ProducerContext {
    const context = this.declared(player, instance);
    this.join(context);
    return context;
  }

  join(context: ProducerContext): void {
    const body = relayBody(context.vocabulary, EventType.PLAYER_JOIN, { name: context.player });
    this.#add(context, { pseq: 0, stamp: null, body });
  }

  leave(context: ProducerContext, reason: string): void {
    const body = relayBody(context.vocabulary, EventType.PLAYER_LEAVE, { reason });
    this.#add(context, { pseq: 0, stamp: null, body });
  }

  say(context: ProducerContext, text: string): void {
    const stamp = (this.#seq + 1) * 1_000;
    this.#add(context, { pseq: context.pseq + 1, stamp, body: messageBody(text) });
  }

  gap(context: ProducerContext, lastPseq: number): void {
    this.#builder.gap({ producer: context.index, firstPseq: context.pseq + 1, lastPseq, reason: 'lost' });
    context.skipTo(lastPseq);
  }

  checkpoint(name: string): void {
    this.#builder.checkpoint({ name, seq: this.#seq, eventIndex: 0, time: this.#seq * 1_000, hashes: [] });
  }

  close(): { bytes: Uint8Array; lastSeq: number } {
    const { bytes } = this.#builder.close(NO_BLOCK, { compress: false });
    return { bytes, lastSeq: this.#seq };
  }

  #add(context: ProducerContext, part: Pick<TimelineEntry, 'pseq' | 'stamp' | 'body'>): void {
    const seq = ++this.#seq;
    const entry = { seq, producer: context.index, time: seq * 1_000, hlc: 0, ...part };
    context.follow(entry);
    this.#builder.add(entry);
  }
}

async function recovered(blocks: readonly { bytes: Uint8Array; lastSeq: number }[]) {
  const journal = new MemoryJournal(NODE_COMPRESSION);
  for (const { bytes, lastSeq } of blocks) journal.append(ID, bytes, lastSeq);
  return await recoverRoom(journal, ID, NODE_COMPRESSION, 0);
}

function open(disk: SimulatedDisk): Promise<FileJournal> {
  return FileJournal.open('/data', {
    compression: NODE_COMPRESSION,
    syncIntervalMs: 0,
    files: disk,
    onDamage: () => {},
  });
}

async function seqs(journal: FileJournal): Promise<[number, number, boolean][]> {
  const blocks: RecoveredBlock[] = [];
  for await (const block of journal.recover(ID)) blocks.push(block);
  return blocks.map(({ header, sealed }) => [header.firstSeq, header.lastSeq, sealed]);
}

/** What needs no disk any more has happened. */
async function turns(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}
