import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Fragments } from '../../server/dist/audience/fragments.js';
import { HandRoom } from '../support/hand-room.ts';
import type { Synced } from '../support/room-past.ts';
import { tempDir } from '../support/temp-dir.ts';

describe('what is told of the past of a live room', () => {
  test('[S2] [V1] is put together once for all who ask at one time, wherever each begins', async () => {
    const room = await HandRoom.open(await tempDir());
    onTestFinished(async () => {
      room.room.output.stop();
      room.room.audience.stop();
      await room.journal.close();
    });
    const ann = room.join('ann', '');
    for (let n = 0; n < 40; n++) {
      ann.type('x');
      await room.seal();
    }
    const list = vi.spyOn(Fragments.prototype, 'list');
    onTestFinished(() => list.mockRestore());
    const { sync } = room.room;
    const seqs = Array.from({ length: 60 }, (_, seq) => seq);
    const answers = await Promise.all(seqs.map((seq) => sync.answer(seq)));
    expect(list).toHaveBeenCalledOnce();
    const synced = answers.map(({ json }) => JSON.parse(json) as Synced);
    const [{ fragments, ...rest } = synced[0] as Synced] = synced;
    expect(fragments.length).toBe(40);
    for (const seq of seqs) {
      expect(synced[seq]).toEqual({ ...rest, fragments: fragments.filter(({ lastSeq }) => lastSeq > seq) });
    }
    // What is the same has one name, what is not has none of another.
    const jsonOf = new Map(answers.map(({ etag, json }) => [etag, json]));
    expect(new Set(jsonOf.values()).size).toBe(jsonOf.size);
    for (const { etag, json } of answers) expect(jsonOf.get(etag)).toBe(json);
  });
});
