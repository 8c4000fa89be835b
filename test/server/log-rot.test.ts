import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect, type Session } from '@gametape/client-sdk';
import { verifyRecording } from '@gametape/server';
import { BytesSource } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { type Recording, RelayProcess, readRecording } from '../support/relay.ts';
import { SlowNetwork } from '../support/slow-network.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor, within } from '../support/wait-for.ts';

const SHORT_END = fileURLToPath(new URL('../support/short-end.mjs', import.meta.url));

// Ann says seven things and bob three, each in a block of its own. The relay is killed, what holds one of them is damaged, and only bob
// comes back: what ann said after it cannot be taken over, and nobody sends it again.

/** Where the journal of a relay is, and how to damage the entry that holds a text. */
interface Place {
  readonly args: readonly string[];
  damage(dataDir: string, text: string): Promise<void>;
}

type Case = readonly [name: string, isHere: boolean, open: () => Promise<Place>];

const FILE: Case = ['a flipped byte in a log segment', true, async () => ({ args: [], damage: flipInLog })];
const STREAM: Case = ['an entry that is gone from a Redis stream', hasRedis, () => inRedis(deleteEntry)];
const REWRITTEN: Case = ['a flipped byte in a Redis stream', hasRedis, () => inRedis(rewriteEntry)];

describe.each([FILE, STREAM, REWRITTEN])('%s, whose player never returns', (_, isHere, open) => {
  test.skipIf(!isHere)('[J6] [W6] what came after it is stated as a gap', async () => {
    const { bob, relay, finish } = await damaged(await open(), ['ann says 3']);
    bob.say('bob says 3');
    const { summary, own } = await finish();
    expect(summary.players.map(({ id, received, gaps }) => [id, received, gaps])).toEqual([
      ['bob', 4, []],
      ['ann', 3, [[4, 7]]],
    ]);
    expect(said(own, 'ann')).toEqual([0, 1, 2]);
    expect(said(own, 'bob')).toEqual([0, 1, 2, 3]);
    expect(relay.log).toContain('are left out');
  });
});

describe.each([FILE, STREAM])('%s', (_, isHere, open) => {
  test.skipIf(!isHere)(
    '[J6] [W6] also when the relay is killed once more before anything else is recorded',
    async () => {
      const { relay, finish } = await damaged(await open(), ['ann says 3']);
      await relay.kill();
      await relay.start();
      const { summary } = await finish();
      expect(summary.players.find(({ id }) => id === 'ann')).toMatchObject({ received: 3, gaps: [[4, 7]] });
    },
  );

  test.skipIf(!isHere)('[J6] [W6] where it is her last that is damaged, the recording is not complete', async () => {
    const { finish } = await damaged(await open(), ['ann says 6']);
    const { summary, own } = await finish();
    expect(summary.players.find(({ id }) => id === 'ann')).toMatchObject({ expected: null, received: 6 });
    expect(said(own, 'ann')).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test.skipIf(!isHere)('[J6] [W6] where it is her joining that is damaged, the recording is not complete', async () => {
    const { finish } = await damaged(await open(), ['Ann Joined']);
    const { own, summary } = await finish();
    // Her name is lost with it.
    expect(summary.players.map(({ id, received, gaps }) => [id, received, gaps])).toEqual([
      ['bob', 3, []],
      ['unknown-1', 0, [[1, 7]]],
    ]);
    expect(said(own, 'ann')).toEqual([]);
    expect(said(own, 'bob')).toEqual([0, 1, 2]);
  });
});

test('[J4] a player whose joining is damaged comes back: what it still has is recorded, what it has not is stated', async () => {
  const [, , open] = FILE;
  const { network, ann, finish } = await damaged(await open(), ['Ann Joined']);
  network.up();
  await waitFor('ann to be back', () => ann.status.connection === 'live');
  const errors: unknown[] = [];
  ann.on('error', (error) => errors.push(error));
  ann.say('ann says 7');
  await waitFor('her SDK to find out', () => errors.length > 0);
  expect(errors).toEqual([expect.objectContaining({ code: 'EVENTS_LOST' })]);
  ann.say('ann says 8');
  const { own, summary } = await finish();
  // All seven were stable: nobody keeps those. The one with which it finds out goes with them.
  expect(summary.players.map(({ id, gaps }) => [id, gaps])).toEqual([
    ['bob', []],
    ['ann', [[1, 8]]],
  ]);
  expect(said(own, 'ann').filter((number) => number >= 0)).toEqual([8]);
});

interface Damaged {
  readonly network: SlowNetwork;
  readonly ann: Session;
  readonly relay: RelayProcess;
  readonly bob: Session;
  /** Bob ends the room: what verify finds intact, and not complete. */
  readonly finish: () => Promise<Recording>;
}

async function damaged({ args, damage }: Place, texts: readonly string[]): Promise<Damaged> {
  const dataDir = await tempDir();
  const relay = await RelayProcess.start(dataDir, args, { args: ['--import', SHORT_END] });
  const options = { url: relay.wsUrl, room: 'arena', profile: 'json', flushMs: 0 } as const;
  const bob = await connect({ ...options, player: 'bob', state: { text: 'b' } });
  const network = new SlowNetwork();
  const ann = await network.connect({ ...options, player: 'ann', name: 'Ann Joined', state: { text: 'a' } });
  for (let i = 0; i < 7; i++) {
    ann.say(`ann says ${i}`);
    await ann.stable();
    if (i % 2 === 1) bob.say(`bob says ${(i - 1) / 2}`);
    await bob.stable();
  }
  await relay.kill();
  network.down();
  for (const text of texts) await damage(dataDir, text);
  await relay.start();
  await waitFor('bob to be back', () => bob.status.connection === 'live');
  const finish = async () => {
    await waitFor('bob to be back', () => bob.status.connection === 'live');
    const { recordingId, complete } = await within('the end', bob.end());
    expect(complete).toBe(false);
    const bytes = await readFile(relay.recordingPath(recordingId));
    const { problems, complete: isComplete } = await verifyRecording(new BytesSource(bytes));
    expect([problems, isComplete]).toEqual([[], false]);
    expect(await relay.stop()).toBe(0);
    return await readRecording(bytes);
  };
  return { network, ann, relay, bob, finish };
}

function said(own: Recording['own'], player: string): number[] {
  return own.filter((entry) => entry.player === player).map(({ data }) => Number(String(data.message).split(' ')[2]));
}

async function flipInLog(dataDir: string, text: string): Promise<void> {
  const directory = join(dataDir, 'journal');
  const logs = (await readdir(directory)).filter((name) => name.endsWith('.log'));
  for (const name of logs) {
    const path = join(directory, name);
    const bytes = await readFile(path);
    const at = bytes.indexOf(text);
    if (at < 0) continue;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await writeFile(path, bytes);
    return;
  }
  throw new Error(`${text} is in none of ${logs.join(', ')}`);
}

const LOG = 'gt:{arena}:log';

async function inRedis(damage: (redis: RedisServer, text: string) => Promise<void>): Promise<Place> {
  const redis = await RedisServer.start();
  return { args: ['--redis', redis.url], damage: (_, text) => damage(redis, text) };
}

/** Streams are not changed: all from that entry on are deleted and added again under their ids, that one with another byte. */
async function rewriteEntry(redis: RedisServer, text: string): Promise<void> {
  const id = entryWith(redis, text);
  const script = `
    local all = redis.call('XRANGE', KEYS[1], '-', '+')
    redis.call('DEL', KEYS[1])
    for _, entry in ipairs(all) do
      local fields = entry[2]
      if entry[1] == ARGV[1] then
        for i = 2, #fields, 2 do fields[i] = string.gsub(fields[i], ARGV[2], ARGV[3], 1) end
      end
      redis.call('XADD', KEYS[1], entry[1], unpack(fields))
    end
    return #all`;
  redis.cli('EVAL', script, '1', LOG, id, text, `${String.fromCharCode(text.charCodeAt(0) ^ 1)}${text.slice(1)}`);
}

async function deleteEntry(redis: RedisServer, text: string): Promise<void> {
  expect(redis.cli('XDEL', LOG, entryWith(redis, text)).trim()).toBe('1');
}

function entryWith(redis: RedisServer, text: string): string {
  const script = `
    for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
      for _, field in ipairs(entry[2]) do
        if string.find(field, ARGV[1], 1, true) then return entry[1] end
      end
    end`;
  const id = redis.cli('EVAL', script, '1', LOG, text).trim();
  if (!/^\d+-\d+$/.test(id)) throw new Error(`${text} is in no entry: ${id}`);
  return id;
}
