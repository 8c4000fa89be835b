import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type Session } from '@gametape/client-sdk';
import { NODE_COMPRESSION } from '@gametape/server';
import { BlockBuilder, CloseCode, EventType, JSON_PROFILE, NO_BLOCK, ProducerContext } from '@gametape/shared';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { LiveRoom } from '../../server/dist/room/live-room.js';
import { RecentEntries } from '../../server/dist/room/recent-entries.js';
import { relayBody } from '../../server/dist/room/relay-bodies.js';
import { RelayEvents } from '../../server/dist/room/relay-events.js';
import { Room } from '../../server/dist/room/room.js';
import { openJournal } from '../support/hand-room.ts';
import { RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';
import { tempDir } from '../support/temp-dir.ts';
import { recordingId } from '../support/typed-session.ts';
import { waitFor } from '../support/wait-for.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a fault in one room', () => {
  test.each([
    ['while it takes an event', faultInAccept],
    ['while it records that a player is gone', faultInLeave],
    ['while it shows what is in the journal', faultInFanOut],
  ])('[S4] %s closes that room alone, and a restart brings it back', async (_, hook) => {
    const relay = await TestRelay.start({ dropGraceMs: 30 });
    const [poison, good] = [await joined(relay, 'poison'), await joined(relay, 'good')];
    poison.say('before');
    await poison.stable();
    const other = await RawClient.join(relay.wsUrl, { room: 'poison', player: 'other' });
    const leaver = await RawClient.join(relay.wsUrl, { room: 'poison', player: 'leaver' });
    const heal = hook();
    await leaver.vanish();
    poison.say('during');
    expect(await other.end()).toMatchObject({ code: CloseCode.SERVER_ERROR });
    expect(await relay.room('poison')).toBeUndefined();
    const refused = await RawClient.open(relay.wsUrl);
    refused.hello({ room: 'poison', player: 'new' });
    expect(await refused.end()).toMatchObject({
      code: CloseCode.SERVER_ERROR,
      reason: expect.stringContaining('ROOM_QUARANTINED'),
    });
    good.say('unharmed');
    await good.stable();
    for (const path of ['/livez', '/readyz']) expect((await relay.get(path)).status).toBe(200);
    heal();
    await relay.restart();
    await waitFor('the player to be back', () => poison.status.connection === 'live');
    poison.say('after');
    const { recordingId: id, complete } = await poison.end();
    expect([complete, id]).toEqual([false, poison.recordingId]);
    const { own } = await relay.recording(id);
    expect(own.filter(({ player }) => player === 'p').map(({ data }) => data.message)).toEqual([
      'before',
      'during',
      'after',
    ]);
    await good.end();
  });

  test.each([
    ['binary', 'lmsp'],
    ['gzip', 'lmsp.gz'],
  ] as const)(
    '[S4] of a session that is over for its players closes nobody out of the next one of that name (%s)',
    async (format, ending) => {
      const relay = await TestRelay.start({ spectatorDelayMs: 5_000, format });
      const ended = vi.spyOn(LiveRoom.prototype, 'end');
      const first = await joined(relay, 'poison');
      const endedAt = performance.now();
      await first.end();
      const next = await joined(relay, 'poison');
      const watch = { room: 'poison', player: 'w', role: 'spectator' } as const;
      const watcher = await RawClient.join(relay.wsUrl, watch);
      const [live] = ended.mock.contexts as unknown as LiveRoom[];
      live?.guard(() => {
        throw new TypeError('a fault on purpose');
      });
      expect(await watcher.end()).toMatchObject({ code: CloseCode.SERVER_ERROR });
      const other = await RawClient.join(relay.wsUrl, { room: 'poison', player: 'other' });
      expect(other.welcome.recordingId).toBe(next.recordingId);
      // What it had to show is not due for that.
      const path = `/v1/recordings/${first.recordingId}.${ending}`;
      expect((await relay.get(path)).status).toBe(404);
      await waitFor('it to be due', async () => (await relay.get(path)).status === 200);
      expect(performance.now() - endedAt).toBeGreaterThanOrEqual(4_990);
    },
  );

  test('[S4] [V2] closes nobody out of an earlier session of that name, which is still shown', async () => {
    const relay = await TestRelay.start({ spectatorDelayMs: 5_000 });
    const first = await joined(relay, 'poison');
    await first.end();
    const next = await joined(relay, 'poison');
    const quarantined = vi.spyOn(LiveRoom.prototype, 'quarantine');
    faultInAccept();
    next.say('during');
    await waitFor('the fault', () => quarantined.mock.calls.length > 0);
    const spectator = await RawClient.join(relay.wsUrl, { room: 'poison', player: 'w', role: 'spectator' });
    expect(spectator.welcome.recordingId).toBe(first.recordingId);
  });

  test('[S4] bad bytes in a journal: that recording stays as it is, all others come back', async () => {
    const dataDir = await tempDir();
    const journal = await openJournal(dataDir);
    for (const id of [1, 2]) {
      const builder = new BlockBuilder(recordingId(id), 1, NODE_COMPRESSION);
      builder.meta({ recordingId: recordingId(id), room: `room-${id}`, profile: 'json', createdAt: 1_700_000_000 });
      const context = new ProducerContext(JSON_PROFILE, { index: 0, player: 'p', instance: 'p-1' });
      builder.producer(context);
      const joining = relayBody(context.vocabulary, EventType.PLAYER_JOIN, { name: 'p' });
      builder.add({ seq: 1, producer: 0, pseq: 0, time: 1, hlc: 0, stamp: null, body: joining });
      // The checksum is right, the body of the first is none.
      const body = id === 1 ? Uint8Array.of(0xfc, 1, 2) : Uint8Array.of(1);
      builder.add({ seq: 2, producer: 0, pseq: 1, time: 2, hlc: 0, stamp: 1, body });
      await journal.append(recordingId(id), builder.close(NO_BLOCK, { compress: false }).bytes, 2).stable;
    }
    await journal.close();
    const relay = await TestRelay.start({ dataDir });
    const { rooms } = (await (await relay.get('/v1/rooms')).json()) as { rooms: { room: string }[] };
    expect(rooms.map(({ room }) => room)).toEqual(['room-2']);
    await relay.stop();
    const again = await openJournal(dataDir);
    const unfinished = (await again.takeOver()).flatMap((claim) => claim.unfinished);
    expect(unfinished.toSorted()).toEqual([recordingId(1), recordingId(2)]);
    await again.close();
  });
});

describe('a journal that cannot be written', () => {
  test('[J5] sessions are told, /readyz says why, the process lives', async () => {
    const relay = await TestRelay.start();
    expect((await relay.get('/readyz')).status).toBe(200);
    const journal = join(relay.dataDir, 'journal');
    await rm(journal, { recursive: true });
    await writeFile(journal, 'in the way');
    await expect(joined(relay, 'arena')).rejects.toMatchObject({ message: expect.stringContaining('read-only') });
    const ready = await relay.get('/readyz');
    expect([ready.status, await ready.json()]).toEqual([
      503,
      expect.objectContaining({ code: 'JOURNAL_FAILED', reason: expect.stringContaining('read-only') }),
    ]);
    expect((await relay.get('/livez')).status).toBe(200);
    expect(await readdir(join(relay.dataDir, 'recordings'))).toEqual([]);
    // A stop says that not everything is stable.
    await expect(relay.stop()).rejects.toMatchObject({ code: 'JOURNAL_FAILED' });
  });
});

function joined(relay: TestRelay, room: string): Promise<Session> {
  return connect({ url: relay.wsUrl, room, player: 'p', profile: 'json', flushMs: 2 });
}

/** Until it is healed, the room `poison` throws what nobody expects. */
function faultInAccept(): () => void {
  const original = Room.prototype.accept;
  const spy = vi.spyOn(Room.prototype, 'accept').mockImplementation(function (this: Room, ...args) {
    if (this.name === 'poison') throw new TypeError('a fault on purpose');
    original.apply(this, args);
  });
  return () => spy.mockRestore();
}

function faultInLeave(): () => void {
  const original = RelayEvents.prototype.leave;
  const spy = vi.spyOn(RelayEvents.prototype, 'leave').mockImplementation(function (this: RelayEvents, ...args) {
    if (args[0].player === 'leaver') throw new TypeError('a fault on purpose');
    original.apply(this, args);
  });
  return () => spy.mockRestore();
}

function faultInFanOut(): () => void {
  const original = RecentEntries.prototype.between;
  const spy = vi.spyOn(RecentEntries.prototype, 'between').mockImplementation(function (this: RecentEntries, ...args) {
    const items = [...original.apply(this, args)];
    if (items.some(({ entry }) => Buffer.from(entry.body).includes('during'))) throw new TypeError('on purpose');
    return items.values() as ReturnType<typeof original>;
  });
  return () => spy.mockRestore();
}
