import { describe, expect, test } from 'vitest';
import { seededRandom } from './seeded-random.ts';
import { type DiskFault, SimulatedDisk } from './simulated-disk.ts';
import { SECTOR_BYTES } from './simulated-file.ts';

const NOTHING_SURVIVES = () => 0.999_999;

describe('the simulated disk', () => {
  test('a power loss keeps what was synced, bytes and names', async () => {
    const disk = new SimulatedDisk({ random: NOTHING_SURVIVES });
    const file = await disk.create('/d/a');
    await file.writev([bytes(1, 700)], 0);
    await file.datasync();
    await disk.syncDirectory('/d');
    await file.writev([bytes(2, 700)], 700);
    await (await disk.create('/d/b')).writev([bytes(3, 1)], 0);
    await disk.rename('/d/a', '/d/c');
    expect(disk.paths).toEqual(['/d/b', '/d/c']);
    disk.losePower();
    expect(disk.paths).toEqual(['/d/a']);
    expect(disk.peek('/d/a')).toEqual(bytes(1, 700));
  });

  test('what was not synced survives in any sectors: torn, with holes, or longer than what is in it', async () => {
    const kinds = new Set<string>();
    for (let seed = 1; seed <= 200; seed++) {
      const disk = new SimulatedDisk({ random: seededRandom(seed) });
      disk.put('/d/a', bytes(1, 100));
      const file = await disk.open('/d/a');
      await file.writev([bytes(2, 3 * SECTOR_BYTES)], 100);
      disk.losePower();
      const left = disk.peek('/d/a') ?? new Uint8Array(0);
      expect(left.subarray(0, 100), `seed ${seed}`).toEqual(bytes(1, 100));
      const rest = left.subarray(100);
      expect(rest.every((byte) => byte === 2 || byte === 0)).toBe(true);
      const hasHole = rest.includes(0) && rest.lastIndexOf(2) > rest.indexOf(0);
      if (rest.length === 0) kinds.add('nothing');
      else if (hasHole) kinds.add('hole');
      else if (rest.at(-1) === 0) kinds.add('zeros');
      else kinds.add(rest.length === 3 * SECTOR_BYTES ? 'all' : 'torn');
    }
    expect([...kinds].sort()).toEqual(['all', 'hole', 'nothing', 'torn', 'zeros']);
  });

  test('a sync that failed has dropped what it covered, whatever the next one says', async () => {
    let fault: DiskFault | undefined = { code: 'EIO' };
    const disk = new SimulatedDisk({
      random: NOTHING_SURVIVES,
      fault: (call) => (call === 'datasync' ? fault : undefined),
    });
    disk.put('/d/a', bytes(1, 10));
    const file = await disk.open('/d/a');
    await file.writev([bytes(2, 10)], 10);
    await expect(file.datasync()).rejects.toMatchObject({ code: 'EIO' });
    fault = undefined;
    await file.datasync();
    expect(disk.peek('/d/a')).toHaveLength(20);
    disk.losePower();
    expect(disk.peek('/d/a')).toEqual(bytes(1, 10));
  });

  test('a call that fails, or that takes less than it was given, has written that much', async () => {
    let fault: DiskFault | undefined = { writtenBytes: 3 };
    const disk = new SimulatedDisk({
      random: NOTHING_SURVIVES,
      fault: (call) => (call === 'writev' ? fault : undefined),
    });
    const file = await disk.create('/d/a');
    expect(await file.writev([bytes(1, 10)], 0)).toBe(3);
    fault = { code: 'ENOSPC', writtenBytes: 2 };
    await expect(file.writev([bytes(2, 10)], 3)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(disk.peek('/d/a')).toEqual(Uint8Array.of(1, 1, 1, 2, 2));
    await expect(disk.create('/d/a')).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(disk.remove('/d/b')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(disk.read('/d/b')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('a killed process keeps what it wrote, and any part of the write that it was in', async () => {
    const lengths = new Set<number>();
    for (let seed = 1; seed <= 60; seed++) {
      const waiting: (() => void)[] = [];
      const disk = new SimulatedDisk({ random: seededRandom(seed), later: (_call, done) => waiting.push(done) });
      const opened = disk.create('/d/a');
      waiting.shift()?.();
      const file = await opened;
      const first = file.writev([bytes(1, 10)], 0);
      waiting.shift()?.();
      await first;
      void file.writev([bytes(2, 10)], 10);
      disk.killProcess();
      const left = disk.peek('/d/a');
      expect(left?.subarray(0, 10), `seed ${seed}`).toEqual(bytes(1, 10));
      lengths.add(left?.length ?? 0);
    }
    expect(lengths.size).toBeGreaterThan(5);
    expect(Math.min(...lengths)).toBe(10);
  });
});

function bytes(value: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}
