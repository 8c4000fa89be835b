import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

/** The least that relays: every message goes to the others of its room, one send each. Nothing is recorded. */
const rooms = new Map<string, Set<WebSocket>>();
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
server.on('connection', (socket, { url = '/' }) => {
  const room = rooms.get(url) ?? new Set<WebSocket>();
  rooms.set(url, room.add(socket));
  socket.on('message', (bytes: Buffer) => {
    for (const other of room) if (other !== socket) other.send(bytes, { binary: true });
  });
  socket.on('close', () => room.delete(socket));
});
server.once('listening', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ event: 'listening', ws: `ws://127.0.0.1:${port}` })}\n`);
});
process.once('SIGTERM', () => process.exit(0));
