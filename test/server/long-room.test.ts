import { describe, expect, onTestFinished, test } from 'vitest';
import { HandRoom } from '../support/hand-room.ts';
import { HandSpectator } from '../support/hand-spectator.ts';
import { keptBytes } from '../support/kept-bytes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const MIB = 1024 * 1024;
const SECOND_US = 1_000_000;
/** A room remembers 4 MiB of events for those who come back; the rest of it is blocks that are open or under way. */
const KEPT = 24 * MIB;

describe('what a room that goes on for long holds in memory', () => {
  for (const [shown, spectatorDelayMs] of [
    ['at once', 0],
    ['with a delay', 50],
  ] as const) {
    test(`[J3] it does not grow with what was recorded, shown ${shown}`, async () => {
      const room = await HandRoom.open(await tempDir(), undefined, { spectatorDelayMs });
      onTestFinished(async () => {
        room.room.output.stop();
        room.room.audience.stop();
        await room.journal.close();
      });
      const { audience, output, sync } = room.room;
      const ann = room.join('ann', 'text');
      const watcher = new HandSpectator();
      await audience.join(watcher.receiver, undefined);
      const record = async (blobs: number) => {
        for (let i = 0; i < blobs; i++) {
          ann.record('blob', { noise: `${i}`.padEnd(60_000, 'x') });
          if (i % 5 < 4) continue;
          // Somebody asks for the past all the time: what an answer named may be kept for a while.
          await sync.answer(0);
          await output.stable();
          room.clock.nowUs += SECOND_US / 10;
        }
        await (await output.seal()).stable;
        const { seq } = room.room.audience.view.standing();
        await waitFor('it to be shown', () => room.room.recording.headSeq === (audience.shown?.seq ?? seq));
      };
      await record(100);
      const before = keptBytes();
      await record(700);
      expect(room.room.recording.headSeq).toBeGreaterThan(800);
      expect(keptBytes() - before).toBeLessThan(KEPT);
    });
  }
});
