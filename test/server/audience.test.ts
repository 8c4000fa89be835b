import { NODE_COMPRESSION } from '@gametape/server';
import { BlockBuilder, CloseCode, GametapeError, NO_BLOCK, type SessionSummary } from '@gametape/shared';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Hold } from '../../server/dist/audience/hold.js';
import { JoinPoints } from '../../server/dist/audience/join-points.js';
import { closedFragment, OpenBlocks, tailAt } from '../../server/dist/audience/open-blocks.js';
import { DEFAULT_RELAY_OPTIONS } from '../../server/dist/options.js';
import { LiveRoom } from '../../server/dist/room/live-room.js';
import { Turnstile } from '../../server/dist/turnstile.js';
import { HandRoom } from '../support/hand-room.ts';
import { HandSpectator } from '../support/hand-spectator.ts';
import { tempDir } from '../support/temp-dir.ts';
import { arrive, sealedBlocks, typedSession } from '../support/typed-session.ts';
import { waitFor } from '../support/wait-for.ts';

const MIB = 1024 * 1024;
const SECOND_US = 1_000_000;

describe('a spectator of a room whose time is moved by hand', () => {
  test('[W8] behind for 5 s, by more than a snapshot costs, it is reset in place', async () => {
    const room = await opened();
    const ann = room.join('ann', '');
    const one = new HandSpectator();
    await room.room.audience.join(one.receiver, undefined);
    for (const [seconds, expected] of [
      [4, ['new']],
      [6, ['new', 'reset']],
    ] as const) {
      ann.type('a');
      await room.room.output.flushed();
      await waitFor('it to be shown', () => one.view.states.get('ann')?.text === textOf(room));
      one.bufferedBytes = MIB;
      for (let i = 0; i < 40; i++) ann.type('b');
      await room.room.output.flushed();
      room.clock.nowUs += seconds * SECOND_US;
      ann.type('c');
      await room.room.output.flushed();
      expect(one.view.states.get('ann')?.text).not.toBe(textOf(room));
      one.bufferedBytes = 0;
      await waitFor('the right state', () => one.view.states.get('ann')?.text === textOf(room));
      expect(one.welcomes.map(({ resumption }) => resumption)).toEqual(expected);
    }
    expect(one.closes).toEqual([]);
  });

  test('[W8] without progress for 10 s it is dropped, and may resume', async () => {
    const room = await opened();
    const ann = room.join('ann', '');
    const one = new HandSpectator();
    await room.room.audience.join(one.receiver, undefined);
    one.bufferedBytes = 2 * MIB;
    for (let i = 0; i < 3; i++) {
      ann.type('a');
      await room.room.output.flushed();
      room.clock.nowUs += 6 * SECOND_US;
    }
    await waitFor('it to be dropped', () => one.closes.length > 0);
    expect(one.closes[0]).toBe(CloseCode.SLOW);
  });
});

describe('the end of a room with a delay', () => {
  test('[V2] when no recording can be made, those who watch are shown the rest when it is due, and hear of it no sooner', async () => {
    const delayMs = 3_000;
    const hand = await opened({ spectatorDelayMs: delayMs });
    const { live, calls } = liveRoom(hand, () => Promise.reject(new GametapeError('DAMAGED', 'nothing is intact')));
    const ann = hand.join('ann', '');
    const one = new HandSpectator();
    await hand.room.audience.join(one.receiver, undefined);
    ann.type('the end');
    await hand.room.output.flushed();
    const endedAt = performance.now();
    await expect(live.end({})).rejects.toMatchObject({ code: 'DAMAGED' });
    expect([one.closes, calls]).toEqual([[], ['ended', 'over']]);
    hand.clock.nowUs += 4 * SECOND_US;
    await waitFor('it to be closed', () => one.closes.length > 0);
    expect(performance.now() - endedAt).toBeGreaterThanOrEqual(delayMs);
    expect(one.closes).toEqual([CloseCode.SERVER_ERROR]);
    expect(one.view.states.get('ann')?.text).toBe('the end');
    // Not `shown`, after which the journal lets go of it: the next start tries again.
    expect([live.isLingering, calls]).toEqual([false, ['ended', 'over', 'over']]);
  });

  test('[J7] [V2] a relay that stops meanwhile does not wait until it is due', async () => {
    const hand = await opened({ spectatorDelayMs: 300_000 });
    let finish: (summary: SessionSummary) => void = () => {};
    const { live, calls } = liveRoom(hand, () => new Promise((resolve) => (finish = resolve)));
    hand.join('ann', '');
    const ended = live.end({});
    await waitFor('its recording to be made', () => calls.length > 0);
    live.stopShowing();
    finish({ recordingId: hand.room.recordingId, room: 'arena', complete: true, durationS: 0, events: 0, players: [] });
    await ended;
    await waitFor('the end of it', () => calls.includes('shown'));
  });
});

describe('the blocks that spectators are not shown whole', () => {
  test('[V1] those that an earlier life had closed and not sealed come before those that grow', () => {
    const session = typedSession({ players: 1, events: 20 });
    const entries = arrive(session.entries[0] ?? []);
    const { blocks } = sealedBlocks(session, entries.slice(0, 16), 8);
    const rest = new BlockBuilder(session.meta.recordingId, 1, NODE_COMPRESSION);
    rest.open([]);
    for (const entry of entries.slice(16)) rest.add(entry);
    const sealed = Promise.resolve({ stable: Promise.resolve() });
    const closed = blocks.map(({ bytes }) => closedFragment(bytes, NODE_COMPRESSION, sealed));
    const open = new OpenBlocks(closed, rest, NO_BLOCK, { headSeq: 20, at: 5 });
    expect(open.firstAfter).toBe(0);
    const taken = open.take(open.newestMark);
    expect(taken.map(({ firstSeq, lastSeq, length }) => [firstSeq, lastSeq, length])).toEqual(
      blocks.map(({ bytes, lastSeq }) => [lastSeq - 7, lastSeq, bytes.length]),
    );
    const { after, extent } = tailAt(open.newestMark);
    expect([after, extent.entries]).toEqual([16, 4]);
    expect(open.take(open.newestMark)).toEqual([]);
  });
});

describe('a hold', () => {
  test('[T6] it is the 99th percentile of what came lately, from 50 to 500 ms', () => {
    const hold = new Hold();
    expect(hold.ms(0)).toBe(50);
    for (let i = 0; i < 512; i++) hold.add(20_000);
    expect([hold.ms(0), hold.ms(40)]).toEqual([50, 60]);
    for (let i = 0; i < 20; i++) hold.add(200_000);
    expect(hold.ms(0)).toBe(200);
    for (let i = 0; i < 20; i++) hold.add(1_500_000);
    expect(hold.ms(0)).toBe(500);
    for (let i = 0; i < 512; i++) hold.add(30_000);
    expect(hold.ms(25)).toBe(55);
  });

  test('[T6] what a player that was away sends again does not count', () => {
    const hold = new Hold();
    for (let i = 0; i < 100; i++) hold.add(80_000);
    for (let i = 0; i < 400; i++) hold.add(30_000_000);
    expect(hold.ms(0)).toBe(80);
  });
});

describe('joining in masses', () => {
  test('[W5] a snapshot is taken once for all who come meanwhile, and never before they came', async () => {
    let taken = 0;
    let seq = 0;
    const none = {
      events: 0,
      players: [],
      producers: [],
      checkpoints: [],
      pauses: [],
      paused: undefined,
      changes: [],
      playTime: 0,
    };
    const view = {
      standing: () => ({ seq, ...none }),
      isHidden: false,
      show: () => {},
      hide: () => {},
      snapshot: () => {
        taken++;
        const until = performance.now() + 5;
        while (performance.now() < until);
        return new Uint8Array(10);
      },
    };
    const points = new JoinPoints({ view, settled: async () => {} });
    const startedAt = performance.now();
    const joined: Promise<void>[] = [];
    for (let i = 0; i < 1_000; i++) {
      const since = ++seq;
      joined.push(points.next().then(({ standing }) => expect(standing.seq).toBeGreaterThanOrEqual(since)));
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(joined);
    // Each costs 5 ms: no more than a tenth of the time goes into them.
    expect(taken).toBeLessThanOrEqual((performance.now() - startedAt) / 45 + 2);
    expect(taken).toBeGreaterThan(0);
  });

  test('[W5] those who come in are served a few in every turn of the event loop, in order', async () => {
    const turnstile = new Turnstile();
    const served: number[] = [];
    let turns = 0;
    let isDone = false;
    const count = () => {
      turns++;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        turnstile.pass(() => {
          const until = performance.now() + 1;
          while (performance.now() < until);
          served.push(i);
        }),
      ),
    );
    isDone = true;
    expect(served).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(turns).toBeGreaterThan(30);
    await expect(turnstile.pass(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  });
});

async function opened(more: { spectatorDelayMs?: number } = {}): Promise<HandRoom> {
  const room = await HandRoom.open(await tempDir(), undefined, more);
  onTestFinished(async () => {
    room.room.output.stop();
    room.room.audience.stop();
    await room.journal.close();
  });
  return room;
}

/** The room with its members, and what its directory is told. */
function liveRoom(hand: HandRoom, finish: () => Promise<SessionSummary>): { live: LiveRoom; calls: string[] } {
  const calls: string[] = [];
  const live = new LiveRoom(
    hand.room,
    { ...DEFAULT_RELAY_OPTIONS, endTimeoutMs: 1 },
    {
      finish,
      shown: () => calls.push('shown'),
      ended: () => calls.push('ended'),
      quarantined: () => calls.push('quarantined'),
      over: () => calls.push('over'),
      refused: () => calls.push('refused'),
    },
  );
  onTestFinished(() => live.stopShowing());
  return { live, calls };
}

function textOf({ room }: HandRoom): unknown {
  return room.seats.all[0]?.context.state.toJson().text;
}
