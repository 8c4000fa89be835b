import { ChunkAssembler, type DownMessage, decodeDownMessage, decodeUpMessage, type UpMessage } from '@gametape/shared';
import { NODE, type Platform, type Socket } from './private-parts.ts';

/** Hears of each message that went over a socket, and of how many bytes of WebSocket payload it was. */
export interface SocketTap {
  up?(message: UpMessage, bytes: number): void;
  down?(message: DownMessage, bytes: number): void;
}

/** The SDK's own platform for Node, with a tap on every socket and, where one is given, another clock. */
export function tappedPlatform(tap: SocketTap, now: () => number = NODE.now): Platform {
  return {
    ...NODE,
    now,
    wallNow: now,
    openSocket: (url, subprotocol) => tapped(NODE.openSocket(url, subprotocol), tap),
  };
}

type OnMessage = Socket['onmessage'];

function tapped(socket: Socket, tap: SocketTap): Socket {
  const up = inWhole(decodeUpMessage, tap.up?.bind(tap));
  const down = inWhole(decodeDownMessage, tap.down?.bind(tap));
  const listening = (onmessage: OnMessage): OnMessage => {
    return (event) => {
      if (event.data instanceof ArrayBuffer) down(new Uint8Array(event.data));
      onmessage?.(event);
    };
  };
  return new Proxy(socket, {
    get: (target, name) => {
      const value = Reflect.get(target, name) as unknown;
      if (name === 'send') return (bytes: Uint8Array<ArrayBuffer>) => [up(bytes), target.send(bytes)];
      return typeof value === 'function' ? value.bind(target) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, name === 'onmessage' ? listening(value) : value),
  });
}

/** Chunks count as the message that they make up. */
function inWhole<Message extends UpMessage | DownMessage>(
  decode: (bytes: Uint8Array) => Message,
  heard: ((message: Message, bytes: number) => void) | undefined,
): (bytes: Uint8Array) => void {
  const chunks = new ChunkAssembler();
  let chunkBytes = 0;
  return (bytes) => {
    if (!heard) return;
    const part = decode(bytes);
    chunkBytes += bytes.length;
    const whole = part.kind === 'chunk' ? chunks.add(part) : bytes;
    if (!whole) return;
    heard(decode(whole), chunkBytes);
    chunkBytes = 0;
  };
}
