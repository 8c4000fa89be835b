import type { RedisJournal } from '@gametape/server';
import { isGametapeError } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { openRedisJournal } from '../support/redis-journal.ts';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { plainBlock, recordingId } from '../support/typed-session.ts';

const RACES = Number(process.env.GAMETAPE_RACES ?? 50);
const LIMIT_MS = 20_000 + RACES * 200;
const BLOCKS = 4;

describe.skipIf(!hasRedis)('relays that claim a room at once', () => {
  test(
    `[J4] two of them, ${RACES} times: one gets it, and only what that one writes is there`,
    async () => {
      const redis = await RedisServer.start({ appendfsync: 'no' });
      const relays = await Promise.all([1, 2].map(() => openRedisJournal(redis.url)));
      for (let race = 0; race < RACES; race++) {
        const room = `race-${race}`;
        const written = await Promise.all(relays.map((journal, i) => claimAndWrite(journal, room, i + 1)));
        expect(written.sort()).toEqual([0, BLOCKS]);
        expect(writersIn(redis, room)).toHaveLength(1);
      }
    },
    LIMIT_MS,
  );

  test(
    `[J4] three that no lease keeps apart, ${RACES} times: whoever is followed by another writes nothing after it`,
    async () => {
      const redis = await RedisServer.start({ appendfsync: 'no' });
      // A lease does not keep out the next life of the relay that has it.
      const relays = await Promise.all([1, 2, 3].map(() => openRedisJournal(redis.url, { relayId: 'same' })));
      let owners = 0;
      for (let race = 0; race < RACES; race++) {
        const room = `race-${race}`;
        await Promise.all(
          relays.map(async (journal, i) => {
            // Together in every third race, otherwise one into the writing of the other.
            await new Promise((resolve) => setTimeout(resolve, i * (race % 3)));
            await claimAndWrite(journal, room, i + 1);
          }),
        );
        const epochs = redis.entries(logOf(room)).map(({ id }) => Number(id.split('-')[0]));
        expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
        const writers = writersIn(redis, room);
        expect(writers).toHaveLength(new Set(writers.map(({ epoch }) => epoch)).size);
        owners += new Set(epochs).size;
      }
      // In some of them more than one got in, one after the other.
      expect(owners).toBeGreaterThan(RACES);
    },
    LIMIT_MS,
  );
});

/** Claims the room for a recording of its own and writes to it until somebody else has it. Returns how many blocks it wrote. */
async function claimAndWrite(journal: RedisJournal, room: string, number: number): Promise<number> {
  const id = recordingId(number);
  let written = 0;
  try {
    await journal.claim(room);
    journal.begin(room, id);
    for (; written < BLOCKS; written++) {
      await journal.append(id, plainBlock(number, written + 1), written + 1).accepted;
    }
  } catch (error) {
    if (!isGametapeError(error, 'ROOM_ELSEWHERE')) throw error;
  }
  return written;
}

/** Who wrote under which epoch, each once. */
function writersIn(redis: RedisServer, room: string): { epoch: string; recording: string }[] {
  const writers = new Map<string, { epoch: string; recording: string }>();
  for (const { id, fields } of redis.entries(logOf(room))) {
    const [epoch = ''] = id.split('-');
    if (fields.r) writers.set(`${epoch} ${fields.r}`, { epoch, recording: fields.r });
  }
  return [...writers.values()];
}

function logOf(room: string): string {
  return `gt:{${room}}:log`;
}
