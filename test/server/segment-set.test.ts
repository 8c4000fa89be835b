import { NODE_FILES } from '@gametape/server';
import { expect, test } from 'vitest';
import { type Place, SegmentSet } from '../../server/dist/journal/segment-set.js';

test('[J4] a block that is sealed before it is written takes no segment away from its writer', async () => {
  const removed: string[] = [];
  let whileRemoving = () => {};
  const files = {
    ...NODE_FILES,
    remove: async (path: string) => {
      whileRemoving();
      removed.push(path);
    },
  };
  const segments = new SegmentSet(files, '/journal');
  const [old, current] = [segments.next(), { number: 2, path: '/journal/current' }];
  segments.add(old);
  segments.add(current);
  const place = (): Place => ({ lastSeq: 1, length: 10, offset: 0, isReleased: false });
  const [written, waiting] = [place(), place()];
  segments.move(written, old, 0);
  await segments.release(old);
  whileRemoving = () => segments.move(waiting, current, 0);
  await segments.releasePlaces([written, waiting]);
  expect(removed).toEqual([old.path]);
  await segments.release(current);
  expect(removed).toEqual([old.path, current.path]);
});
