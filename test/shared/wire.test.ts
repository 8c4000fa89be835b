import {
  ByteWriter,
  ChunkAssembler,
  CloseCode,
  chunked,
  closeAction,
  closeReason,
  type DownMessage,
  decodeDownMessage,
  decodeUpMessage,
  encodeMessage,
  encodeValue,
  type Json,
  LIMITS,
  MessageByte,
  type UpMessage,
} from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyData, anyText } from '../support/arbitraries.ts';
import { bitFlips, truncations } from '../support/damage.ts';
import { codeOf, errorOf } from '../support/errors.ts';

const count = fc.oneof(fc.nat(), fc.maxSafeNat());
const micros = fc.oneof(
  fc.integer(),
  fc.integer({ min: -(2 ** 49), max: 2 ** 49 }),
  fc.integer().map((n) => n * 100 + 0),
);
const body = fc.uint8Array({ minLength: 1, maxLength: 20 });
const acks = fc.tuple(count, count).map(([a, b]) => ({ accepted: Math.max(a, b), stable: Math.min(a, b) }));
const kind = <K extends string>(name: K) => fc.constant(name);
const pairs = fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 3 });

const UP: { [K in UpMessage['kind']]: fc.Arbitrary<Extract<UpMessage, { kind: K }>> } = {
  hello: fc.record(
    {
      kind: kind('hello'),
      protocols: fc.array(count, { maxLength: 3 }),
      room: anyText(),
      player: anyText(),
      role: fc.constantFrom('player', 'spectator', 'host'),
      profile: anyText(),
      instance: anyText(),
      clock: count,
      tick: count,
      name: anyText(),
      token: anyText(300),
      resume: fc.record({ epoch: count, seq: count, recordingId: anyText() }),
      state: fc.uint8Array({ maxLength: 40 }),
    },
    { requiredKeys: ['kind', 'protocols', 'room', 'player', 'role', 'profile', 'instance', 'clock', 'state'] },
  ),
  pong: fc.record({ kind: kind('pong'), id: count, received: count, sent: count }),
  'clock-jump': fc.record({
    kind: kind('clock-jump'),
    pseq: count.map((pseq) => Math.max(1, pseq)),
    jump: micros,
    clock: count,
  }),
  'events-up': fc.record(
    {
      kind: kind('events-up'),
      firstPseq: count.map((pseq) => Math.max(1, pseq)),
      shown: count,
      base: fc.record({ seq: count, firstPseq: fc.constant(1) }),
      events: fc.array(fc.record({ stampDelta: micros, body }), { maxLength: 4 }),
    },
    { requiredKeys: ['kind', 'firstPseq', 'events'] },
  ),
  gap: fc
    .tuple(count, count, anyText())
    .map(([a, b, reason]) => ({ kind: 'gap', firstPseq: Math.min(a, b) || 1, lastPseq: Math.max(a, b, 1), reason })),
  leave: fc.record({ kind: kind('leave'), lastPseq: count }),
  end: fc.record({ kind: kind('end'), lastPseq: count, outcome: anyData }),
  final: fc.record({ kind: kind('final'), lastPseq: count }),
  rewind: fc.record({ kind: kind('rewind'), name: anyText() }),
  chunk: fc.record({ kind: kind('chunk'), last: fc.boolean(), bytes: body }),
};

const DOWN: { [K in DownMessage['kind']]: fc.Arbitrary<Extract<DownMessage, { kind: K }>> } = {
  welcome: fc.record(
    {
      kind: kind('welcome'),
      protocol: count,
      recordingId: anyText(),
      profile: anyText(),
      epoch: count,
      seq: count,
      resumption: fc.constantFrom('new', 'resumed', 'reset'),
      producer: fc.integer({ min: -1 }),
      lastPseq: count,
      roomTime: micros,
      createdAt: fc.double({ min: 0, max: 1e10, noNaN: true }),
      silenceMs: fc.nat(),
      durability: anyText(),
      delayMs: fc.nat(),
      holdMs: fc.nat(),
      spectators: fc.record({ count, ids: fc.array(anyText(), { maxLength: 3 }) }),
      players: fc.array(
        fc.record({ id: anyText(), name: anyText(), connected: fc.boolean() }, { requiredKeys: ['id', 'connected'] }),
        { maxLength: 3 },
      ),
      pauses: fc.constantFrom<[number, number][]>(
        [],
        [[-5, 5]],
        [
          [0, 1],
          [1, 7],
        ],
      ),
      paused: fc.record({
        since: fc.integer({ min: 7, max: 20 }),
        players: fc.uniqueArray(anyText(), { minLength: 1, maxLength: 3 }),
      }),
      changes: fc
        .array(fc.tuple(fc.integer({ min: 20, max: 2 ** 50 }), anyText(), fc.boolean()), { maxLength: 3 })
        .map((changes) => changes.toSorted(([a], [b]) => a - b)),
      lostAfter: count,
      takesJumps: fc.constant(true),
    },
    {
      requiredKeys: [
        'kind',
        'protocol',
        'recordingId',
        'profile',
        'epoch',
        'seq',
        'resumption',
        'producer',
        'lastPseq',
        'roomTime',
        'createdAt',
        'silenceMs',
        'durability',
        'delayMs',
        'holdMs',
        'players',
        'spectators',
        'pauses',
        'changes',
      ],
    },
  ),
  snapshot: fc.record({ kind: kind('snapshot'), records: fc.uint8Array({ maxLength: 40 }) }),
  producer: fc.record({ kind: kind('producer'), index: count, player: anyText(), instance: anyText() }),
  'events-down': fc.record({
    kind: kind('events-down'),
    acks,
    upTo: count,
    events: fc
      .array(
        fc.record({
          seq: fc.nat(),
          producer: fc.nat({ max: 3 }),
          time: micros,
          hlc: fc.oneof(fc.constant(0), fc.nat()),
          stamp: fc.option(fc.oneof(micros, fc.nat())),
          body,
        }),
        { maxLength: 6 },
      )
      .map((events) => events.map((event, index) => ({ ...event, seq: seqAt(events, index) }))),
  }),
  ack: fc.record({ kind: kind('ack'), acks }),
  ping: fc.record({ kind: kind('ping'), id: count, acks }),
  clocks: fc.record({
    kind: kind('clocks'),
    errors: fc.array(fc.tuple(count, fc.oneof(fc.nat(), fc.constant(null))), { maxLength: 3 }),
  }),
  expect: fc.record({ kind: kind('expect'), pseq: count }),
  'need-keyframe': fc.record({ kind: kind('need-keyframe'), pseq: count }),
  notice: fc.record(
    {
      kind: kind('notice'),
      code: kind('BAD_EVENT'),
      message: anyText(),
      pseq: count,
      rewind: anyText(),
      retryAfterS: count,
    },
    { requiredKeys: ['kind', 'code', 'message', 'pseq'] },
  ),
  ending: fc.record({ kind: kind('ending') }),
  ended: fc.record(
    {
      kind: kind('ended'),
      summary: fc.record({
        recordingId: anyText(),
        room: anyText(),
        complete: fc.boolean(),
        durationS: fc.double({ min: 0, max: 1e6, noNaN: true }),
        events: count,
        players: fc.array(
          fc.record({ id: anyText(), events: count, expected: fc.option(count), received: count, gaps: pairs }),
          { maxLength: 3 },
        ),
      }),
      seq: count,
    },
    { requiredKeys: ['kind', 'summary'] },
  ),
  clock: fc.record({ kind: kind('clock'), time: micros, holdMs: count }),
  spectators: fc.record({ kind: kind('spectators'), count, ids: fc.array(anyText(), { maxLength: 4 }) }),
  chunk: UP.chunk,
};

const anyUp = fc.oneof(...Object.values<fc.Arbitrary<UpMessage>>(UP));
const anyDown = fc.oneof(...Object.values<fc.Arbitrary<DownMessage>>(DOWN));

describe('messages', () => {
  test.each(Object.entries<fc.Arbitrary<UpMessage>>(UP))('to a relay: %s comes back as it was', (_, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, (message) => {
        expect(decodeUpMessage(encodeMessage(message))).toEqual(message);
      }),
      { numRuns: 200 },
    );
  });

  test.each(Object.entries<fc.Arbitrary<DownMessage>>(DOWN))(
    'from a relay: %s comes back as it was',
    (_, arbitrary) => {
      fc.assert(
        fc.property(arbitrary, (message) => {
          expect(decodeDownMessage(encodeMessage(message))).toEqual(message);
        }),
        { numRuns: 200 },
      );
    },
  );

  test('a message starts with its own byte, and goes one way only', () => {
    const chunk = MessageByte.chunk;
    for (const arbitrary of Object.values<fc.Arbitrary<UpMessage>>(UP)) {
      const [message] = fc.sample(arbitrary, 1) as [UpMessage];
      const bytes = encodeMessage(message);
      expect((bytes[0] ?? 0) & (message.kind === 'events-up' ? ~7 : ~0)).toBe(MessageByte[message.kind]);
      if (bytes[0] !== chunk) expect(codeOf(() => decodeDownMessage(bytes))).toBe('BAD_MESSAGE');
    }
    for (const arbitrary of Object.values<fc.Arbitrary<DownMessage>>(DOWN)) {
      const bytes = encodeMessage((fc.sample(arbitrary, 1) as [DownMessage])[0]);
      if (bytes[0] !== chunk) expect(codeOf(() => decodeUpMessage(bytes))).toBe('BAD_MESSAGE');
    }
  });

  test('[W2] resending gives the identical bytes', () => {
    fc.assert(
      fc.property(UP['events-up'], (message) => {
        expect(encodeMessage(decodeUpMessage(encodeMessage(message)))).toEqual(encodeMessage(message));
      }),
    );
  });

  test('fields that are undefined do not travel', () => {
    const [hello] = fc.sample(UP.hello, 1) as [Extract<UpMessage, { kind: 'hello' }>];
    const { name: _, token: __, resume: ___, ...required } = hello;
    const open = { ...required, name: undefined, token: undefined, resume: undefined };
    expect(decodeUpMessage(encodeMessage(open as unknown as UpMessage))).toEqual(required);
  });

  test('a single keystroke of a second takes few bytes around its body', () => {
    const events = [{ stampDelta: 1_234_500, body: new Uint8Array(8) }];
    expect(encodeMessage({ kind: 'events-up', firstPseq: 5_000, events }).length).toBe(8 + 1 + 2 + 3);
  });

  test('[W11] every truncation and every flipped bit of a message is BAD_MESSAGE or a message', () => {
    const names = Object.getOwnPropertyNames(Object.prototype);
    fc.assert(
      fc.property(anyUp, anyDown, (up, down) => {
        for (const damaged of [...truncations(encodeMessage(up)), ...bitFlips(encodeMessage(up))]) {
          expectMessageOrError(() => decodeUpMessage(damaged));
        }
        for (const damaged of [...truncations(encodeMessage(down)), ...bitFlips(encodeMessage(down))]) {
          expectMessageOrError(() => decodeDownMessage(damaged));
        }
      }),
      { numRuns: 25 },
    );
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(names);
  });

  test('[W11] random bytes are BAD_MESSAGE or a message', () => {
    const firsts = fc.oneof(fc.constantFrom(...Object.values(MessageByte), 0x41, 0x42, 0x43), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(firsts, fc.uint8Array({ maxLength: 100 }), (first, rest) => {
        const bytes = Uint8Array.of(first, ...rest);
        expectMessageOrError(() => decodeUpMessage(bytes));
        expectMessageOrError(() => decodeDownMessage(bytes));
      }),
      { numRuns: 5_000 },
    );
  });

  test('[W11] [T8] a base that no event of the message, or none at all, can go on from is BAD_MESSAGE', () => {
    // Events-up with one event, a base, first pseq 3 and base seq 9.
    const withSince = (since: number) => Uint8Array.of(0x45, 3, 9, since, 0, 0x80);
    expect(decodeUpMessage(withSince(0))).toMatchObject({ firstPseq: 3, base: { seq: 9, firstPseq: 3 } });
    expect(decodeUpMessage(withSince(2))).toMatchObject({ base: { seq: 9, firstPseq: 1 } });
    expect(codeOf(() => decodeUpMessage(withSince(3)))).toBe('BAD_MESSAGE');
  });

  test('[W11] maps with the wrong fields are BAD_MESSAGE, and no field gets in that a message does not have', () => {
    const [welcome] = fc.sample(DOWN.welcome, 1) as [Extract<DownMessage, { kind: 'welcome' }>];
    const { kind: _, ...fields } = JSON.parse(JSON.stringify(welcome)) as Record<string, Json>;
    const decode = (map: Json) => decodeDownMessage(mapMessage(MessageByte.welcome, map));
    expect(decode({ ...fields, kind: 'chunk', extra: 1 })).toEqual(welcome);
    const wrong: Record<string, Json>[] = [
      { players: [1] },
      { players: [{ id: 'a' }] },
      { pauses: [[1]] },
      { pauses: 'none' },
      { paused: { since: 1 } },
      { pauses: [[0.5, 3]] },
      { changes: null },
      { changes: [[1, 'ada']] },
      { changes: [[30, 'ada', 1]] },
      { changes: [[30.5, 'ada', true]] },
      { resumption: 'maybe' },
      { seq: -1 },
      { delayMs: -1 },
      { holdMs: '50' },
      { spectators: 3 },
      { spectators: { count: 1 } },
      { spectators: { count: 1, ids: [1] } },
      { epoch: 0.5 },
      { recordingId: null },
    ];
    for (const bad of wrong) expect(codeOf(() => decode({ ...fields, ...bad }))).toBe('BAD_MESSAGE');
    for (const map of [null, [], 'x', 1]) expect(codeOf(() => decode(map))).toBe('BAD_MESSAGE');
    const ended = { recordingId: 'a', room: 'r', complete: true, durationS: 1, events: 1, players: [{ id: 'x' }] };
    expect(codeOf(() => decodeDownMessage(mapMessage(MessageByte.ended, ended)))).toBe('BAD_MESSAGE');
    const notice = { code: 'BAD_EVENT', message: 'm', pseq: -1 };
    expect(codeOf(() => decodeDownMessage(mapMessage(MessageByte.notice, notice)))).toBe('BAD_MESSAGE');
  });

  test('[W2] an event number 0, a gap backwards and more stable than accepted are BAD_MESSAGE', () => {
    const up = (...bytes: number[]) => codeOf(() => decodeUpMessage(Uint8Array.from(bytes)));
    expect(up(0x41, 0, 0, 1)).toBe('BAD_MESSAGE');
    expect(up(0x04, 0, 5, 0)).toBe('BAD_MESSAGE');
    expect(up(0x04, 5, 4, 0)).toBe('BAD_MESSAGE');
    expect(up(0x04, 5, 5, 0)).toBeUndefined();
    expect(codeOf(() => decodeDownMessage(Uint8Array.of(0x85, 3, 4)))).toBe('BAD_MESSAGE');
    expect(codeOf(() => decodeDownMessage(Uint8Array.of(0x85, 3, 3)))).toBeUndefined();
  });
});

describe('chunks', () => {
  test('a message of any length is put together from chunks that fit', () => {
    for (const length of [1, LIMITS.messageBytes, LIMITS.messageBytes + 1, 200_000, LIMITS.chunkedBytes]) {
      const message = Uint8Array.from({ length }, (_, index) => index * 7);
      const assembler = new ChunkAssembler();
      const chunks = chunked(message);
      if (length <= LIMITS.messageBytes) {
        expect(chunks).toEqual([message]);
        continue;
      }
      expect(chunks.every((chunk) => chunk.length <= LIMITS.messageBytes)).toBe(true);
      const parts = chunks.map((bytes) => assembler.add(chunkOf(bytes)));
      expect(parts.slice(0, -1).every((part) => part === undefined)).toBe(true);
      expect(Buffer.compare(parts.at(-1) ?? new Uint8Array(), message)).toBe(0);
      expect(assembler.add({ last: true, bytes: Uint8Array.of(9) })).toEqual(Uint8Array.of(9));
    }
  });

  test('chunks are copied: the bytes of a message are only borrowed', () => {
    const assembler = new ChunkAssembler();
    const bytes = Uint8Array.of(1, 2, 3);
    assembler.add({ last: false, bytes });
    bytes.fill(9);
    expect(assembler.add({ last: true, bytes: Uint8Array.of(4) })).toEqual(Uint8Array.of(1, 2, 3, 4));
  });

  test('[S2] chunks over the limit are refused, and nothing of them is kept', () => {
    const assembler = new ChunkAssembler();
    const bytes = new Uint8Array(LIMITS.messageBytes);
    for (let sum = 0; sum + bytes.length <= LIMITS.chunkedBytes; sum += bytes.length)
      assembler.add({ last: false, bytes });
    expect(codeOf(() => assembler.add({ last: true, bytes: Uint8Array.of(1) }))).toBe('LIMIT_EXCEEDED');
    expect(assembler.add({ last: true, bytes: Uint8Array.of(1) })).toEqual(Uint8Array.of(1));
  });

  test('[W11] empty chunks and other marks than 0 and 1 are BAD_MESSAGE', () => {
    for (const bytes of [[0x0f], [0x0f, 0], [0x0f, 1], [0x0f, 2, 7], [0x0f, 255, 7]]) {
      expect(codeOf(() => decodeUpMessage(Uint8Array.from(bytes)))).toBe('BAD_MESSAGE');
    }
  });
});

describe('closing', () => {
  test('[W9] the range of a close code says what to do, for codes of later versions too', () => {
    expect([4000, 4050, 4099].map(closeAction)).toEqual(['stop', 'stop', 'stop']);
    expect([4100, 4199].map(closeAction)).toEqual(['back off', 'back off']);
    expect([4200, 4299].map(closeAction)).toEqual(['resume now', 'resume now']);
    expect([4300, 4399].map(closeAction)).toEqual(['join afresh', 'join afresh']);
    expect([1000, 1001, 1005, 1006, 1009, 1011, 1012, 3000, 4400, 4999, 0].map(closeAction)).toEqual(
      new Array(11).fill('back off'),
    );
    expect(closeAction(CloseCode.SUPERSEDED)).toBe('stop');
    expect(closeAction(CloseCode.DRAINING)).toBe('resume now');
    expect(closeAction(CloseCode.EPOCH_GONE)).toBe('join afresh');
    expect(closeAction(CloseCode.SLOW)).toBe('back off');
  });

  test('[W9] a reason fits into a close frame, whole or cut between code points', () => {
    fc.assert(
      fc.property(anyText(200), (text) => {
        const reason = closeReason(text);
        expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
        expect(reason.isWellFormed()).toBe(true);
        if (Buffer.byteLength(text) <= 123) expect(reason).toBe(text);
        else expect([text.startsWith(reason.slice(0, -1)), reason.at(-1)]).toEqual([true, '…']);
      }),
      { numRuns: 500 },
    );
    expect(closeReason('x'.repeat(123))).toBe('x'.repeat(123));
    expect(closeReason('x'.repeat(124))).toBe(`${'x'.repeat(120)}…`);
  });
});

function expectMessageOrError(decode: () => UpMessage | DownMessage): void {
  const error = errorOf(() => {
    const message = decode();
    // What has been accepted can be sent on.
    encodeMessage(message);
  });
  expect([undefined, 'BAD_MESSAGE']).toContain(error?.code);
}

function mapMessage(first: number, map: Json): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(first);
  encodeValue(writer, map);
  return writer.take();
}

function chunkOf(bytes: Uint8Array): Extract<UpMessage, { kind: 'chunk' }> {
  const message = decodeUpMessage(bytes);
  if (message.kind !== 'chunk') throw new Error(`expected a chunk, found ${message.kind}`);
  return message;
}

/** Rising: each event's own number and those before it, and one for each. */
function seqAt(events: readonly { seq: number }[], index: number): number {
  return events.slice(0, index + 1).reduce((sum, { seq }) => sum + seq + 1, 0);
}
