import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Session } from '@gametape/client-sdk';
import { WebSocket } from 'ws';
import { EVENT_BYTES, type LoadOrder, type LoadSide } from './load.ts';

/** What EVENT_BYTES leaves for a text beside the event's type, the time and their lengths. */
const KEY_LENGTH = 29;
const TEXTS = 256;

/** Real SDK sessions, as a game would use them. `delivered` is told when each event that arrives was sent. */
export async function ourSide(order: LoadOrder, delivered: (sentAtMs: number) => void): Promise<LoadSide> {
  const texts = randomTexts(KEY_LENGTH);
  const sessions: Session[][] = [];
  for (let r = 0; r < order.rooms; r++) {
    const players = Array.from({ length: order.playersPerRoom }, (_, p) => {
      return connect({ url: order.wsUrl, room: `load-${r}`, player: `player-${p}`, profile: 'json' });
    });
    sessions.push(await Promise.all(players));
  }
  const clients = sessions.flat().map((session, index) => {
    let count = index;
    session.on('error', (error) => {
      throw error;
    });
    session.on('event', ({ type, data }) => {
      if (type === 'input') delivered(data.t as number);
    });
    const send = () => {
      const key = texts[count++ % TEXTS] as string;
      session.record({ type: 'input', data: { t: performance.now(), key } });
    };
    return { send };
  });
  const finish = async () => {
    const summaries = await Promise.all(sessions.map(([first]) => first?.end()));
    return summaries.map((summary) => summary?.recordingId ?? '');
  };
  return { clients, finish };
}

/** Plain `ws` clients. */
export async function bareSide(order: LoadOrder, delivered: (sentAtMs: number) => void): Promise<LoadSide> {
  const sockets: WebSocket[] = [];
  for (let r = 0; r < order.rooms; r++) {
    for (let p = 0; p < order.playersPerRoom; p++) {
      const socket = new WebSocket(`${order.wsUrl}/room-${r}`, { perMessageDeflate: false });
      await once(socket, 'open');
      socket.on('message', (bytes: Buffer) => delivered(bytes.readDoubleLE(0)));
      sockets.push(socket);
    }
  }
  const filler = randomBytes(EVENT_BYTES);
  const clients = sockets.map((socket) => {
    const send = () => {
      const message = Buffer.from(filler);
      message.writeDoubleLE(performance.now(), 0);
      socket.send(message);
    };
    return { send };
  });
  const finish = async () => {
    for (const socket of sockets) socket.close();
    return [];
  };
  return { clients, finish };
}

function randomTexts(length: number): string[] {
  return Array.from({ length: TEXTS }, () => randomBytes(length).toString('base64url').slice(0, length));
}
