import { CloseCode } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { Receiver } from '../../server/dist/room/receiver.js';

const MIB = 1024 * 1024;
const SECOND_US = 1_000_000;

describe('a receiver', () => {
  test('[W8] it is sent nothing more while it has over 1 MiB to read', () => {
    const { peer, receiver } = made();
    peer.bufferedBytes = MIB - 1;
    expect(receiver.keepsUp(0)).toBe(true);
    peer.bufferedBytes = MIB;
    expect(receiver.keepsUp(0)).toBe(false);
    peer.bufferedBytes = 0;
    expect(receiver.keepsUp(0)).toBe(true);
    expect(peer.closes).toEqual([]);
  });

  test('[W8] it is dropped when it makes no progress for 10 s', () => {
    const { peer, receiver } = made();
    peer.bufferedBytes = 2 * MIB;
    for (let second = 0; second <= 10; second++) expect(receiver.keepsUp(second * SECOND_US)).toBe(false);
    expect(peer.closes).toEqual([]);
    receiver.keepsUp(10 * SECOND_US + 1);
    expect(peer.closes).toEqual([CloseCode.SLOW]);
  });

  test('[W8] it may be as slow as it likes as long as it reads', () => {
    const { peer, receiver } = made();
    for (let second = 0; second < 300; second += 9) {
      peer.bufferedBytes = 2 * MIB - second;
      receiver.keepsUp(second * SECOND_US);
    }
    expect(peer.closes).toEqual([]);
  });

  test('[W8] progress starts anew when it has caught up', () => {
    const { peer, receiver } = made();
    peer.bufferedBytes = 2 * MIB;
    receiver.keepsUp(0);
    peer.bufferedBytes = 0;
    receiver.keepsUp(9 * SECOND_US);
    peer.bufferedBytes = 3 * MIB;
    receiver.keepsUp(10 * SECOND_US);
    receiver.keepsUp(19 * SECOND_US);
    expect(peer.closes).toEqual([]);
  });

  test('[W8] over 4 MiB it is dropped at once, but for the snapshot it was given', () => {
    const { peer, receiver } = made();
    receiver.sendSnapshot(new Uint8Array(3 * MIB));
    peer.bufferedBytes = 7 * MIB;
    receiver.keepsUp(0);
    expect(peer.closes).toEqual([]);
    peer.bufferedBytes = 0;
    receiver.keepsUp(1);
    peer.bufferedBytes = 4 * MIB + 1;
    receiver.keepsUp(2);
    expect(peer.closes).toEqual([CloseCode.SLOW]);
  });
});

function made() {
  const peer = {
    address: 'nowhere',
    bufferedBytes: 0,
    closes: [] as number[],
    send: () => {},
    terminate: () => {},
    close(code: number) {
      peer.closes.push(code);
    },
  };
  return { peer, receiver: new Receiver(peer, -1) };
}
