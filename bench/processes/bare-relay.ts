import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

/** The least that relays: every message goes to the others of its room, one send each. Nothing is recorded. */
const rooms = new Map<string, Set<WebSocket>>();
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
/** Whoever asks for so many bytes gets them first: the same ones for all. */
const snapshots = new Map<number, Buffer>();
server.on('connection', (socket, { url = '/' }) => {
  const { pathname, searchParams } = new URL(url, 'ws://localhost');
  const bytes = Number(searchParams.get('snapshot') ?? 0);
  if (bytes > 0) {
    const snapshot = snapshots.get(bytes) ?? Buffer.alloc(bytes, 1);
    snapshots.set(bytes, snapshot);
    socket.send(snapshot);
  }
  const room = rooms.get(pathname) ?? new Set<WebSocket>();
  rooms.set(pathname, room.add(socket));
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
