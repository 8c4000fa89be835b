import { ChunkAssembler, crc32, type DownMessage, decodeDownMessage, type Welcome } from '@gametape/shared';
import { RoomView } from '../../client-sdk/dist/room-view.js';
import { Receiver } from '../../server/dist/room/receiver.js';

const MIB = 1024 * 1024;

/** A spectator without a socket, which reads as much as it is told to. */
export class HandSpectator {
  bufferedBytes = 0;
  readonly closes: number[] = [];
  readonly welcomes: Welcome[] = [];
  readonly view = new RoomView(crc32);
  receiver = this.#connected();
  readonly #chunks = new ChunkAssembler(32 * MIB);

  /** What it was shown stays; the relay, or another one, knows nothing of it. */
  reconnect(): void {
    this.receiver = this.#connected();
  }

  #connected(): Receiver {
    const peer = {
      address: 'nowhere',
      getBuffered: () => this.bufferedBytes,
      get bufferedBytes(): number {
        return peer.getBuffered();
      },
      send: (bytes: Uint8Array) => this.#take(decodeDownMessage(bytes)),
      close: (code: number) => this.closes.push(code),
      terminate: () => {},
    };
    return new Receiver(peer, -1, 'hand');
  }

  #take(message: DownMessage): void {
    switch (message.kind) {
      case 'chunk': {
        const whole = this.#chunks.add(message);
        if (whole) this.#take(decodeDownMessage(whole));
        return;
      }
      case 'welcome':
        this.welcomes.push(message);
        this.view.welcome(message, 0);
        return;
      case 'snapshot':
        this.view.snapshot(message.records);
        return;
      case 'producer':
        this.view.producer(message);
        return;
      case 'events-down':
        for (const event of message.events) this.view.apply(event);
        this.view.advanceTo(message.upTo);
    }
  }
}
