import {
  BLOCK_HEADER_BYTES,
  BlockBuilder,
  decodeBlockHeader,
  decodeDownMessage,
  EventType,
  encodeMessage,
  LIMITS,
  makeRecordingId,
  NO_BLOCK,
  PlayClock,
  PORTABLE_COMPRESSION,
  roomOf,
  type ToldPauses,
  type Welcome,
} from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../support/errors.ts';
import { ANY_WELCOME } from '../support/fake-relay.ts';

const ID = makeRecordingId(1_700_000_000_000, new Uint8Array(10));
const HELD = { since: 20, players: ['ada'] };

/** What no clock tells, whatever has happened. */
const WRONG: { readonly [what: string]: Partial<ToldPauses> } = {
  'a pause of no time': { pauses: [[1, 1]] },
  'a pause inside another': {
    pauses: [
      [1, 5],
      [2, 4],
    ],
  },
  'pauses the wrong way round': {
    pauses: [
      [10, 20],
      [1, 2],
    ],
  },
  'too many pauses': { pauses: Array.from({ length: LIMITS.pauses + 1 }, (_, index) => [2 * index, 2 * index + 1]) },
  'a pause that nobody holds': { paused: { since: 20, players: [] } },
  'a pause that one player holds twice': { paused: { since: 20, players: ['ada', 'ada'] } },
  'a pause that lasts since before another is over': { pauses: [[1, 30]], paused: HELD },
  'changes the wrong way round': {
    changes: [
      [40, 'ada', true],
      [30, 'ada', false],
    ],
  },
  'a change before a pause that was over': { pauses: [[1, 20]], changes: [[19, 'ada', true]] },
  'a change before the pause that lasted': { paused: HELD, changes: [[19, 'ada', false]] },
  'too many changes': { changes: Array.from({ length: LIMITS.pauseChanges + 1 }, () => [30, 'ada', false]) },
};

describe('what a clock tells', () => {
  test('[T6] [T7] comes through a welcome and a room record as it is', () => {
    const anyEvent = fc.tuple(fc.integer({ min: -9, max: 2 ** 40 }), fc.constantFrom('ada', 'bob', ''), fc.nat(1));
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 40 }), fc.constantFrom(0, 0, 1_100), (events, before) => {
        const clock = new PlayClock();
        const speed = (time: number, player: string, to: number) =>
          clock.observe(time, player, { type: EventType.SPEED_CHANGE, data: { speed: to } });
        for (let time = -before; time < 0; time++) speed(time, 'eve', time & 1);
        for (const event of events) speed(...event);
        expect(throughWelcome(clock.told)).toEqual(clock.told);
        expect(throughRoomRecord(clock.told)).toEqual(clock.told);
      }),
      { numRuns: 100 },
    );
  });

  test.each(Object.entries(WRONG))('[S2] [W11] %s is BAD_MESSAGE in a welcome and DAMAGED in a block', (_, wrong) => {
    const told = { pauses: [], paused: undefined, changes: [], ...wrong };
    expect(codeOf(() => throughWelcome(told))).toBe('BAD_MESSAGE');
    expect(codeOf(() => throughRoomRecord(told))).toBe('DAMAGED');
  });

  test('[S2] as many changes as are remembered, all at one time, are taken', () => {
    const changes = Array.from({ length: LIMITS.pauseChanges }, () => [20, 'ada', true] as const);
    const told: ToldPauses = { pauses: [[1, 20]], paused: HELD, changes };
    expect([throughWelcome(told), throughRoomRecord(told)]).toEqual([told, told]);
  });
});

function throughWelcome({ pauses, paused, changes }: ToldPauses): ToldPauses {
  const message: Welcome = { ...ANY_WELCOME, pauses, ...(paused && { paused }), changes };
  const read = decodeDownMessage(encodeMessage(message)) as Welcome;
  return { pauses: read.pauses, paused: read.paused, changes: read.changes };
}

function throughRoomRecord(told: ToldPauses): ToldPauses {
  const builder = new BlockBuilder(ID, 1, PORTABLE_COMPRESSION);
  const counts = { headSeq: 0, time: 0, events: 0, gaps: 0, epochEnds: [], checkpoints: [], producers: [] };
  builder.room({ ...counts, ...told });
  const { bytes } = builder.close(NO_BLOCK, { compress: true });
  const header = decodeBlockHeader(bytes, 0, PORTABLE_COMPRESSION);
  const room = roomOf(header, bytes.subarray(BLOCK_HEADER_BYTES), PORTABLE_COMPRESSION);
  if (!room) throw new Error('the block has lost its room record');
  return { pauses: room.pauses, paused: room.paused, changes: room.changes };
}
