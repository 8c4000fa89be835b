import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spectate } from '@gametape/client-sdk';
import { type Journal, NODE_COMPRESSION, startRelay } from '@gametape/server';
import { LiveState, LMSP_PROFILE, type State } from '@gametape/shared';
import type { Bench } from './support/bench.ts';
import { type JournaledRoom, journalRoom } from './support/journaled-room.ts';
import { type LeftJournal, leaveFiles, leaveRedis } from './support/left-journal.ts';
import { HOUR_OF_EDITS, longTypists, PLAYERS } from './support/long-session.ts';
import { number, printLine, printTable, ratio, verdict, warn } from './support/print.ts';
import { median } from './support/statistics.ts';
import { typeOffline } from './support/trace-session.ts';

const MINUTE_OF_EDITS = HOUR_OF_EDITS / 60;
const ROUNDS = 15;
const GOALS_MS = { files: 1_000, redis: 3_000 };

interface Side {
  readonly name: string;
  readonly left: LeftJournal;
  readonly journaled: JournaledRoom;
  readonly ms: number[];
  readonly cpuMs: number[];
}

export const recovery: Bench = {
  name: 'recovery',
  about: 'a killed relay until it takes events again: a room of an hour and one of a minute, eight players each (J3)',
  run: async () => {
    const home = await mkdtemp(join(tmpdir(), 'gametape-bench-'));
    try {
      for (const where of ['files', 'redis'] as const) {
        const hour = await makeSide(home, where, 'hour', 0);
        const minute = await makeSide(home, where, 'minute', HOUR_OF_EDITS - MINUTE_OF_EDITS);
        if (!hour || !minute) {
          warn('redis-server is not installed: no figures for recovery from Redis');
          continue;
        }
        const sides = [hour, minute];
        // The first round of each is not counted: it loads and compiles what both need.
        for (let round = 0; round <= ROUNDS; round++) {
          for (const side of round % 2 === 0 ? sides : sides.toReversed()) await recover(side, round > 0);
        }
        print(where, hour, minute);
      }
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  },
};

/** The minute is the last one of the hour, so that both have the same states at their end. */
async function makeSide(home: string, where: 'files' | 'redis', name: string, skip: number): Promise<Side | undefined> {
  const room = await typeOffline(await longTypists(HOUR_OF_EDITS, skip));
  let journaled: JournaledRoom | undefined;
  const write = async (journal: Journal) => {
    journaled = await journalRoom(journal, name, room.timeline(), room.players);
  };
  const left = where === 'files' ? await leaveFiles(home, write) : await leaveRedis(home, name, write);
  return left && journaled && { name, left, journaled, ms: [], cpuMs: [] };
}

/** Starts a relay on a copy of what the killed one left: it listens when the room is back and sealed. */
async function recover({ left, journaled, ms, cpuMs }: Side, isCounted: boolean): Promise<void> {
  const copy = await left.copy();
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const relay = await startRelay({ ...copy.options, port: 0, viewer: false });
  const tookMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuBefore);
  if (isCounted) {
    ms.push(tookMs);
    cpuMs.push((user + system) / 1_000);
  } else await check(relay.url, relay.wsUrl, journaled);
  await relay.close();
  await copy.close();
}

async function check(url: string, wsUrl: string, { room, events, hashes }: JournaledRoom): Promise<void> {
  const described = (await (await fetch(`${url}/v1/rooms/${room}`)).json()) as { events: number };
  if (described.events !== events) throw new Error(`${room}: ${described.events} events are back, not ${events}`);
  const live = await spectate({ url: wsUrl, room });
  for (const [player, hash] of hashes) {
    const state = new LiveState(LMSP_PROFILE);
    const entries = Object.entries((live.states.get(player) ?? {}) as State);
    state.apply({ form: 'keyframe', entries }, 0);
    if (state.hash(NODE_COMPRESSION.crc32) !== hash) throw new Error(`${room}: another state of ${player} is back`);
  }
  await live.close();
}

function print(where: 'files' | 'redis', hour: Side, minute: Side): void {
  const rows = [hour, minute].map(({ name, journaled, left, ms, cpuMs }) => [
    name,
    number(journaled.events),
    number(left.sealedBytes),
    number(left.logBytes),
    number(median(ms)),
    number(Math.min(...ms)),
    number(Math.max(...ms)),
    number(median(cpuMs)),
  ]);
  const head = ['', 'events', 'sealed bytes', 'log bytes', 'ms p50', 'least', 'most', 'CPU ms p50'];
  printTable(`journal in ${where}, ${PLAYERS} players; ${ROUNDS} starts of each, by turns`, [head, ...rows]);
  printLine(
    `  hour / minute: ${ratio(median(hour.ms), median(minute.ms))}, CPU ${ratio(median(hour.cpuMs), median(minute.cpuMs))}`,
  );
  printLine(`  hour, p50 ms: ${verdict(median(hour.ms), { atMost: GOALS_MS[where] })}`);
}
