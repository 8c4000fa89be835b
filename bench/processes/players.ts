import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Session } from '@gametape/client-sdk';
import { LMSP_PROFILE, type State } from '@gametape/shared';
import { WebSocket } from 'ws';
import { percentile } from '../support/statistics.ts';
import type { Heard, PlayOrder } from '../support/watch-load.ts';

/** Answers every message with what players have heard since the last. */
process.once('message', (order: PlayOrder) => {
  void start(order);
});

interface Players {
  /** One event of the player with that number. */
  send(index: number): void;
}

async function start(order: PlayOrder): Promise<void> {
  let latencies: number[] = [];
  const heard = (sentAtMs: number) => latencies.push(performance.now() - sentAtMs);
  const players = await (order.side === 'ours' ? ourPlayers(order, heard) : barePlayers(order, heard));
  process.on('message', () => {
    const percentiles = { p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) };
    latencies = [];
    process.send?.(percentiles satisfies Heard);
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.({ p50Ms: 0, p99Ms: 0 } satisfies Heard);
  await play(players, order);
}

/** Each player in turn, evenly, for ever. */
async function play(players: Players, order: PlayOrder): Promise<never> {
  const perMs = (order.eventsPerSecond * order.players.length) / 1_000;
  const startedAt = performance.now();
  for (let sent = 0; ; await sleep(1)) {
    for (const due = (performance.now() - startedAt) * perMs; sent < due; sent++) {
      players.send(sent % order.players.length);
    }
  }
}

async function ourPlayers({ wsUrl, room, players }: PlayOrder, heard: (sentAtMs: number) => void): Promise<Players> {
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

async function barePlayers({ wsUrl, room, players }: PlayOrder, heard: (sentAtMs: number) => void): Promise<Players> {
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

function opened(socket: WebSocket): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.once('error', reject);
  });
}
