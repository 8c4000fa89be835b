import { readFile, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Session } from '@gametape/client-sdk';
import {
  ChunkAssembler,
  decodeDownMessage,
  encodeMessage,
  LMSP_PROFILE,
  RecordType,
  readRecords,
  type State,
  SUBPROTOCOL,
} from '@gametape/shared';
import { WebSocket } from 'ws';
import { processCpuSeconds } from '../support/process-cpu.ts';
import { percentile } from '../support/statistics.ts';
import type { LoopDelay, Phase, WatchOrder, WatchResult } from '../support/watch-load.ts';

/** Who has not seen the room by then is counted as not there. */
const JOINED_WITHIN_MS = 20_000;
const WARM_UP_SECONDS = 3;

process.once('message', (order: WatchOrder) => {
  void run(order).then((result) => {
    process.send?.(result);
    process.disconnect();
    process.exit(0);
  });
});

interface Players {
  /** One event of the player with that number. */
  send(index: number): void;
}

async function run(order: WatchOrder): Promise<WatchResult> {
  let latencies: number[] = [];
  const heard = (sentAtMs: number) => latencies.push(performance.now() - sentAtMs);
  const players = await (order.side === 'ours' ? ourPlayers(order, heard) : barePlayers(order, heard));
  const measure = async (work: Promise<unknown>): Promise<Phase> => {
    latencies = [];
    await loopDelay(order);
    const cpu = processCpuSeconds(order.serverPid);
    const startedAt = performance.now();
    const events = await play(players, order, work);
    const seconds = (performance.now() - startedAt) / 1_000;
    const loop = await loopDelay(order);
    return {
      loop,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
      worstMs: percentile(latencies, 1),
      events,
      serverCpuS: processCpuSeconds(order.serverPid) - cpu,
      seconds,
    };
  };
  await play(players, order, sleep(WARM_UP_SECONDS * 1_000));
  const load = process.cpuUsage();
  const before = await measure(sleep(order.quietSeconds * 1_000));
  const crowd = joinAll(order);
  const joining = await measure(crowd);
  const watched = await measure(sleep(order.quietSeconds * 1_000));
  const { firstFramesMs, snapshotBytes } = await crowd;
  const { user, system } = process.cpuUsage(load);
  return { before, joining, watched, firstFramesMs, snapshotBytes, loadCpuS: (user + system) / 1_000_000 };
}

/** Of the server since it was last asked. */
async function loopDelay({ serverPid, loopDelayFile }: WatchOrder): Promise<LoopDelay> {
  await rm(loopDelayFile, { force: true });
  process.kill(serverPid, 'SIGUSR2');
  for (;;) {
    const json = await readFile(loopDelayFile, 'utf8').catch(() => '');
    if (json.endsWith('}')) return JSON.parse(json) as LoopDelay;
    await sleep(5);
  }
}

/** Each player in turn, evenly, until `work` is done. Returns how many events were sent. */
async function play(players: Players, order: WatchOrder, work: Promise<unknown>): Promise<number> {
  let isDone = false;
  void work.finally(() => {
    isDone = true;
  });
  const perMs = (order.eventsPerSecond * order.players.length) / 1_000;
  const startedAt = performance.now();
  let sent = 0;
  while (!isDone) {
    for (const due = (performance.now() - startedAt) * perMs; sent < due; sent++) {
      players.send(sent % order.players.length);
    }
    await sleep(1);
  }
  await work;
  return sent;
}

async function ourPlayers({ wsUrl, room, players }: WatchOrder, heard: (sentAtMs: number) => void): Promise<Players> {
  const sessions: Session[] = [];
  for (const { name, text } of players) {
    const state = { ...LMSP_PROFILE.initialState?.(name), current_code: text } as State;
    const session = await connect({ url: wsUrl, room, player: name, state });
    session.on('player_message', ({ data }) => heard(Number(data.message)));
    sessions.push(session);
  }
  return {
    send: (index) => {
      const session = sessions[index] as Session;
      session.edit('current_code', { at: 0, remove: 0, insert: 'x' });
      session.say(String(performance.now()));
    },
  };
}

async function barePlayers({ wsUrl, room, players }: WatchOrder, heard: (sentAtMs: number) => void): Promise<Players> {
  const sockets = await Promise.all(players.map(() => opened(new WebSocket(`${wsUrl}/${room}`))));
  for (const socket of sockets) socket.on('message', (bytes: Buffer) => heard(bytes.readDoubleLE(0)));
  return {
    send: (index) => {
      const message = Buffer.alloc(40);
      message.writeDoubleLE(performance.now(), 0);
      sockets[index]?.send(message);
    },
  };
}

async function joinAll(order: WatchOrder): Promise<{ firstFramesMs: number[]; snapshotBytes: number }> {
  const startedAt = performance.now();
  const everyMs = (order.joinSeconds * 1_000) / order.spectators;
  const joins: Promise<{ ms: number; bytes: number }>[] = [];
  while (joins.length < order.spectators) {
    const due = Math.min(order.spectators, Math.floor((performance.now() - startedAt) / everyMs) + 1);
    while (joins.length < due) joins.push(join(order, joins.length));
    await sleep(1);
  }
  const frames: { ms: number; bytes: number }[] = [];
  const all = Promise.all(joins.map((joined) => joined.then((frame) => frames.push(frame))));
  await Promise.race([all, sleep(JOINED_WITHIN_MS)]);
  return { firstFramesMs: frames.map(({ ms }) => ms), snapshotBytes: frames[0]?.bytes ?? 0 };
}

/** One that comes; a kernel that has too many at its door sends some away, and they come again. Their time goes on. */
async function join(order: WatchOrder, index: number): Promise<{ ms: number; bytes: number }> {
  const startedAt = performance.now();
  for (;;) {
    try {
      const { bytes } = await (order.side === 'ours' ? watch(order, index) : watchBare(order));
      return { ms: performance.now() - startedAt, bytes };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
      await sleep(20);
    }
  }
}

function watch({ wsUrl, room, players }: WatchOrder, index: number): Promise<{ bytes: number }> {
  const id = `watcher-${index}`;
  const socket = new WebSocket(wsUrl, [SUBPROTOCOL], { perMessageDeflate: false });
  const hello = { kind: 'hello', protocols: [1], room, player: id, role: 'spectator', profile: '' } as const;
  socket.on('open', () => {
    socket.send(encodeMessage({ ...hello, instance: id, clock: 0, state: new Uint8Array(0) }));
  });
  return new Promise((resolve, reject) => {
    const chunks = new ChunkAssembler(64 * 1024 * 1024);
    socket.on('error', reject);
    socket.on('close', (code, reason) => reject(new Error(`closed with ${code} ${reason}`)));
    socket.on('message', (data: Buffer) => {
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      let message = decodeDownMessage(bytes);
      if (message.kind === 'ping') {
        socket.send(encodeMessage({ kind: 'pong', id: message.id, received: 0, sent: 0 }));
      }
      if (message.kind === 'chunk') {
        const whole = chunks.add(message);
        if (!whole) return;
        message = decodeDownMessage(whole);
      }
      if (message.kind !== 'snapshot') return;
      const keyframes = [...readRecords(message.records)].filter(({ type }) => type === RecordType.Keyframe);
      if (keyframes.length !== players.length) reject(new Error(`a snapshot of ${keyframes.length} players`));
      resolve({ bytes: message.records.length });
    });
  });
}

function watchBare({ wsUrl, room, snapshotBytes }: WatchOrder): Promise<{ bytes: number }> {
  const socket = new WebSocket(`${wsUrl}/${room}?snapshot=${snapshotBytes}`, { perMessageDeflate: false });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (data: Buffer) => {
      if (data.length === snapshotBytes) resolve({ bytes: data.length });
    });
  });
}

function opened(socket: WebSocket): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.once('error', reject);
  });
}
