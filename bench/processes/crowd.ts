import { setTimeout as sleep } from 'node:timers/promises';
import {
  ChunkAssembler,
  decodeDownMessage,
  encodeMessage,
  RecordType,
  readRecords,
  SUBPROTOCOL,
} from '@gametape/shared';
import { WebSocket } from 'ws';
import type { Crowd, WatchOrder } from '../support/watch-load.ts';

/** Who has not seen the room by then is counted as not there. */
const JOINED_WITHIN_MS = 20_000;

process.once('message', (order: WatchOrder) => {
  process.on('disconnect', () => process.exit(0));
  void joinAll(order).then((crowd) => process.send?.(crowd));
});

async function joinAll(order: WatchOrder): Promise<Crowd> {
  const cpu = process.cpuUsage();
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
  const { user, system } = process.cpuUsage(cpu);
  const loadCpuS = (user + system) / 1_000_000;
  return { firstFramesMs: frames.map(({ ms }) => ms), snapshotBytes: frames[0]?.bytes ?? 0, loadCpuS };
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

function watch({ wsUrl, room, players, prefix }: WatchOrder, index: number): Promise<{ bytes: number }> {
  const id = `${prefix}-${index}`;
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
