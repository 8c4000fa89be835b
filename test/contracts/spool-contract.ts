import { describe, expect, test } from 'vitest';
import type { Spool, SpoolName, SpoolStore } from '../../client-sdk/dist/spool/spool.js';

/** One kind of spool store; each test gets a place of its own. */
export interface SpoolKind {
  readonly name: string;
  place(): Promise<string>;
  /** One that lives: two of them are as two processes or tabs. */
  open(place: string): Promise<SpoolStore>;
  /** Its process or tab dies: nothing of it is closed. */
  kill(store: SpoolStore): Promise<void>;
}

const ALL = () => true;

function nameOf(instance: string, createdMs = 1_000): SpoolName {
  return { room: 'r', player: 'ann', instance, createdMs };
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function contentOf(spool: Spool): Promise<Record<number, string>> {
  const segments = await spool.read();
  return Object.fromEntries(segments.map(({ number, bytes }) => [number, new TextDecoder().decode(bytes)]));
}

/** What every spool store promises. */
export function describeSpools({ name, place, open, kill }: SpoolKind): void {
  describe(`[W3] spools: ${name}`, { timeout: 60_000 }, () => {
    test('what was appended before its process dies is there for whoever comes next', async () => {
      const where = await place();
      const first = await open(where);
      const spool = await first.create(nameOf('aa'));
      spool.append(1, bytesOf('one '));
      spool.append(1, bytesOf('two'));
      spool.append(2, bytesOf('three'));
      await spool.written();
      await kill(first);
      const second = await open(where);
      const [found, ...rest] = await second.takeOver(ALL);
      expect(rest).toEqual([]);
      expect(found?.name).toEqual(nameOf('aa'));
      expect(found && (await contentOf(found))).toEqual({ 1: 'one two', 2: 'three' });
      await second.close();
    });

    test('a closed store has let go of its spools, and they are still there', async () => {
      const where = await place();
      const first = await open(where);
      const spool = await first.create(nameOf('aa'));
      spool.append(1, bytesOf('one'));
      await first.close();
      const second = await open(where);
      const [found] = await second.takeOver(ALL);
      expect(found && (await contentOf(found))).toEqual({ 1: 'one' });
      await second.close();
    });

    test('nobody gets the spool of one who lives', async () => {
      const where = await place();
      const first = await open(where);
      await first.create(nameOf('aa'));
      const second = await open(where);
      expect(await second.takeOver(ALL)).toEqual([]);
      expect(await first.takeOver(ALL)).toEqual([]);
      await first.close();
      expect(await second.takeOver(ALL)).toHaveLength(1);
      await second.close();
    });

    test('of several that ask at once only one gets it, and dies with it for the next', async () => {
      const where = await place();
      const dead = await open(where);
      for (const instance of ['aa', 'bb', 'cc']) await dead.create(nameOf(instance));
      await kill(dead);
      const stores = [await open(where), await open(where), await open(where)];
      const taken = await Promise.all(stores.map((store) => store.takeOver(ALL)));
      expect(
        taken
          .flat()
          .map((spool) => spool.name.instance)
          .sort(),
      ).toEqual(['aa', 'bb', 'cc']);
      for (const store of stores) await kill(store);
      const last = await open(where);
      expect(await last.takeOver(ALL)).toHaveLength(3);
      await last.close();
    });

    test('gives only what is wanted, oldest first', async () => {
      const where = await place();
      const first = await open(where);
      for (const [instance, createdMs] of [
        ['dd', 30],
        ['aa', 20],
        ['cc', 10],
      ] as const)
        await first.create(nameOf(instance, createdMs));
      await first.create({ ...nameOf('ee'), room: 'other' });
      await first.close();
      const second = await open(where);
      const taken = await second.takeOver(({ room }) => room === 'r');
      expect(taken.map((spool) => spool.name.instance)).toEqual(['cc', 'aa', 'dd']);
      expect((await second.takeOver(ALL)).map((spool) => spool.name.room)).toEqual(['other']);
      await second.close();
    });

    test('segments are forgotten whole, and a removed spool is gone', async () => {
      const where = await place();
      const first = await open(where);
      const spool = await first.create(nameOf('aa'));
      for (const segment of [1, 2, 3]) spool.append(segment, bytesOf(`s${segment}`));
      spool.dropBefore(3);
      spool.append(3, bytesOf('!'));
      await spool.written();
      expect(await contentOf(spool)).toEqual({ 3: 's3!' });
      await spool.remove();
      await first.close();
      const second = await open(where);
      expect(await second.takeOver(ALL)).toEqual([]);
      await second.close();
    });

    test('one that was taken over is added to at its end', async () => {
      const where = await place();
      const first = await open(where);
      (await first.create(nameOf('aa'))).append(7, bytesOf('one'));
      await first.close();
      const second = await open(where);
      const [found] = await second.takeOver(ALL);
      found?.append(7, bytesOf(' two'));
      expect(found && (await contentOf(found))).toEqual({ 7: 'one two' });
      await second.close();
    });
  });
}
