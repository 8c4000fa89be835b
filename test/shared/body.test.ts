import {
  type Body,
  ByteReader,
  ByteWriter,
  decodeBody,
  diff,
  encodeBody,
  type GameEvent,
  JSON_PROFILE,
  LIMITS,
  LiveState,
  LMSP_PROFILE,
  ProducerContext,
  type State,
  type StateChange,
  Vocabulary,
} from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyData, anyState, anyStateEdit, anyText, editState } from '../support/arbitraries.ts';
import { bitFlips, truncations } from '../support/damage.ts';
import { codeOf, errorOf } from '../support/errors.ts';
import { runningTime } from '../support/running-time.ts';
import { TestProducer } from '../support/test-producer.ts';

const anyEvent: fc.Arbitrary<GameEvent> = fc.record({ type: anyText(8), data: anyData });
const PRODUCER = { index: 0, player: 'ada', instance: 'i1' };

describe('bodies', () => {
  test('the example of DELTA.md is 8 bytes, and these', () => {
    const producer = new TestProducer(LMSP_PROFILE);
    const state = { current_code: '', cursor_position: [0, 2], session_duration: 1 };
    producer.encode(undefined, state, 0);
    producer.encode(undefined, { ...state, current_code: 'de' }, 100);
    const event = { type: 'keystroke', data: { char: 'd', modifiers: [] } };
    const body = producer.encode(event, { ...state, current_code: 'ded', cursor_position: [0, 3] }, 5_000_000);
    expect(Buffer.from(body).toString('hex')).toBe('09a1649040a10002');
    expect(producer.state.get('session_duration')).toBe(6);
  });

  test('[D1] diff, encode, decode and apply lead from any state to any next one, on both sides alike', () => {
    const steps = fc.array(fc.tuple(fc.option(anyEvent), anyStateEdit, fc.boolean()), { maxLength: 12 });
    fc.assert(
      fc.property(anyState, steps, (first, edits) => {
        const producer = new TestProducer(JSON_PROFILE);
        const reader = new ProducerContext(JSON_PROFILE, PRODUCER);
        let state = first;
        let stamp = 0;
        const read = (body: Uint8Array, event: GameEvent | null) => {
          const decoded = reader.read(body, stamp, 'BAD_MESSAGE');
          expect(decoded.event).toEqual(event ?? undefined);
          expect(reader.state.toJson()).toEqual(state);
          expectSame(reader, producer);
        };
        read(producer.encode(undefined, state, stamp), null);
        for (const [event, edit, check] of edits) {
          stamp += 1_000;
          state = editState(state, edit);
          read(producer.encode(event ?? undefined, state, stamp, check), event);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('[D1] any state leads to any other', () => {
    fc.assert(
      fc.property(anyState, anyState, (one, other) => {
        const state = new LiveState(JSON_PROFILE);
        state.apply({ form: 'keyframe', entries: Object.entries(one) }, 0);
        state.apply({ form: 'delta', ops: diff(state, other, new Set()) }, 0);
        expect(state.toJson()).toEqual(other);
        expect(diff(state, other, new Set())).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test('[D1] typing a character costs at most 12 bytes in a text of 30 KB, wherever it is typed', () => {
    const producer = new TestProducer(LMSP_PROFILE);
    let code = 'x = 1\n'.repeat(5_000);
    const stateOf = (column: number): State => ({
      current_code: code,
      cursor_position: [3, column],
      session_duration: 0,
    });
    producer.encode(undefined, stateOf(0), 0);
    let column = 0;
    for (const at of [15_000, 15_001, 15_002, 29_000, 29_001, 7, 8]) {
      code = `${code.slice(0, at)}d${code.slice(at)}`;
      const event = { type: 'keystroke', data: { char: 'd', modifiers: [] } };
      expect(producer.encode(event, stateOf(++column), at * 1_000).length).toBeLessThanOrEqual(12);
    }
  });

  test('[D2] every splice cuts between code points, before and after', () => {
    const texts = fc.tuple(anyText(12), anyText(12), anyText(12), anyText(12));
    fc.assert(
      fc.property(texts, ([start, before, after, end]) => {
        const [one, other] = [`${start}${before}${end}`, `${start}${after}${end}`];
        const [op] = diff(mapOf({ text: one }), { text: other }, new Set());
        if (op?.op !== 'splice') return;
        const parts = [one.slice(0, op.at), one.slice(op.at + op.remove), op.insert, other.slice(0, op.at)];
        expect(parts.map((part) => part.isWellFormed())).toEqual([true, true, true, true]);
        expect(parts[0] + op.insert + parts[1]).toBe(other);
      }),
      { numRuns: 1_000 },
    );
  });

  test('ops on the same key apply one after another, also where one changes how much the next adds', () => {
    const ops: StateChange & { form: 'delta' } = {
      form: 'delta',
      ops: [
        { op: 'nest', key: 'list', path: [], change: { op: 'splice', at: 0, remove: 1, insert: [5, 6] } },
        { op: 'add', key: 'list', by: [1, 2, 3] },
        { op: 'nest', key: 'list', path: [1], change: { op: 'delete' } },
        { op: 'add', key: 'list', by: [10, 20] },
        { op: 'nest', key: 'list', path: [], change: { op: 'set', value: [7] } },
        { op: 'add', key: 'list', by: [-8] },
        { op: 'set', key: 'list', value: [[1], 2] },
        { op: 'nest', key: 'list', path: [0, 0], change: { op: 'delete' } },
        { op: 'nest', key: 'list', path: [0], change: { op: 'delete' } },
        { op: 'add', key: 'list', by: [1] },
        { op: 'set', key: 'text', value: 'ab' },
        { op: 'splice', key: 'text', at: 1, remove: 0, insert: '😀' },
        { op: 'splice', key: 'text', at: 3, remove: 1, insert: '' },
        { op: 'delete', key: 'text' },
        { op: 'set', key: 'text', value: 3 },
        { op: 'add', key: 'text', by: [4] },
      ],
    };
    const producer = new TestProducer(JSON_PROFILE);
    const reader = new ProducerContext(JSON_PROFILE, PRODUCER);
    reader.read(producer.encode(undefined, { list: [1, 2] }, 0), 0, 'BAD_MESSAGE');
    const body = producer.encodeChange(undefined, ops, 1);
    expect(reader.read(body, 1, 'BAD_MESSAGE')).toEqual({ change: ops });
    expect(reader.state.toJson()).toEqual({ list: [3], text: 7 });
    expectSame(reader, producer);
  });

  test('an echo means the first text of the template, and only where the event has one', () => {
    const reader = new ProducerContext(JSON_PROFILE, PRODUCER);
    reader.read(bytesOf('02', '01', '00', '0163', 'a0'), 0, 'BAD_MESSAGE');
    // A template `t` of the keys `b` and `1`, in this order, which is not that of JavaScript; then echo on key 0.
    reader.read(bytesOf('05', '0174', '02', '0162', '0131', 'a178', 'a179', '40'), 0, 'BAD_MESSAGE');
    expect(reader.state.toJson()).toEqual({ c: 'x' });
    expect(codeOf(() => reader.read(bytesOf('01', '40'), 0, 'BAD_MESSAGE'))).toBe('BAD_MESSAGE');
  });

  test('[D3] every truncation and every flipped bit of a body is an error or another body, and teaches nothing when bad', () => {
    const names = Object.getOwnPropertyNames(Object.prototype);
    for (const { body, before } of sampleBodies()) {
      for (const damaged of [...truncations(body), ...bitFlips(body)]) {
        const context = contextOf(before);
        const state = snapshotOf(context);
        const error = errorOf(() => context.read(damaged, 7, 'BAD_MESSAGE'));
        if (!error) continue;
        expect(['BAD_MESSAGE', 'BAD_DELTA', 'LIMIT_EXCEEDED']).toContain(error.code);
        expect(snapshotOf(context)).toEqual(state);
      }
    }
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(names);
  });

  test('[W11] random bytes are an error or a body', () => {
    const before = sampleBodies()[0]?.before ?? [];
    const heads = fc.constantFrom(1, 2, 3, 5, 6, 9, 10, 11, 54, 55);
    fc.assert(
      fc.property(heads, fc.uint8Array({ maxLength: 80 }), (head, rest) => {
        const context = contextOf(before);
        const code = codeOf(() => context.read(Uint8Array.of(head, ...rest), 0, 'BAD_MESSAGE'));
        expect([undefined, 'BAD_MESSAGE', 'BAD_DELTA', 'LIMIT_EXCEEDED']).toContain(code);
      }),
      { numRuns: 3_000 },
    );
  });

  test('[W11] forbidden names are refused wherever a body may have one', () => {
    const proto = `09${Buffer.from('__proto__').toString('hex')}`;
    const bodies = {
      'a data key': ['04', '0174', '01', proto, '01'],
      'a state key of a keyframe': ['02', '01', '00', proto, '01'],
      'a state key of an op': ['01', '00', proto, '01'],
      'a path step': ['01', 'e0', '01', `a9${proto.slice(2)}`, '00', '01'],
      'a key of a value': ['02', '01', '01', '0174', `81a9${proto.slice(2)}80`],
      'an inlined state key': ['02', '01', 'ff7f', proto, '01'],
    };
    for (const [where, parts] of Object.entries(bodies)) {
      const reader = new ProducerContext(JSON_PROFILE, PRODUCER);
      if (where === 'a path step') reader.read(bytesOf('02', '01', '00', '016d', '80'), 0, 'BAD_MESSAGE');
      expect([where, codeOf(() => reader.read(bytesOf(...parts), 0, 'BAD_MESSAGE'))]).toEqual([where, 'BAD_MESSAGE']);
    }
  });

  test('[W11] a short body cannot insert for long', () => {
    const reader = new ProducerContext(JSON_PROFILE, PRODUCER);
    reader.read(bytesOf('02', '01', '00', '0163', 'a0'), 0, 'BAD_MESSAGE');
    const writer = new ByteWriter();
    const event = { type: 'paste', data: { text: 'x'.repeat(60_000) } };
    encodeBody(writer, new Vocabulary(JSON_PROFILE), { event, change: { form: 'delta', ops: [] } });
    for (let i = 0; i < 4_000; i++) writer.byte(0x40);
    expect(codeOf(() => reader.read(writer.take(), 0, 'BAD_MESSAGE'))).toBe('BAD_MESSAGE');
    expect(reader.state.toJson()).toEqual({ c: '' });
  });

  test('[W11] an event of many keys is read in time that grows with its size', () => {
    const data = Object.fromEntries(Array.from({ length: LIMITS.nodes }, (_, index) => [`k${index}`, 1]));
    const writer = new ByteWriter();
    encodeBody(writer, new Vocabulary(JSON_PROFILE), { event: { type: 't', data } });
    const reader = new ProducerContext(JSON_PROFILE, PRODUCER);
    const tookMs = runningTime();
    expect(reader.read(writer.take(), 0, 'BAD_MESSAGE').event?.data).toEqual(data);
    expect(tookMs()).toBeLessThan(2_000);
  });
});

describe('vocabularies', () => {
  test('those of both sides stay equal over a long session, over their limits', () => {
    const producer = new TestProducer(JSON_PROFILE);
    const reader = new ProducerContext(JSON_PROFILE, PRODUCER);
    let state: State = { a: 1 };
    let next = 1;
    const random = () => (next = (next * 48_271) % 2_147_483_647);
    for (let i = 0; i < 4_000; i++) {
      const key = `k${random() % 1_500}`;
      const event = { type: `type${random() % 1_200}`, data: { [`d${random() % 3}`]: i } };
      const { [key]: gone, ...others } = state;
      state = gone === undefined && Object.keys(state).length < 200 ? { ...state, [key]: i } : { a: i, ...others };
      if (Object.keys(state).length >= 200) state = { a: i };
      const body = producer.encode(event, state, i);
      expect(reader.read(body, i, 'BAD_MESSAGE').event).toEqual(event);
      if (i % 100 === 0) expectSame(reader, producer);
    }
    expectSame(reader, producer);
    expect(reader.state.toJson()).toEqual(state);
    expect(reader.vocabulary.learnedTemplates.length).toBe(LIMITS.vocabulary);
    expect(reader.vocabulary.learnedNames.length).toBe(LIMITS.vocabulary);
  });

  test('templates and names over the limit go inline and are not remembered', () => {
    const vocabulary = new Vocabulary(JSON_PROFILE);
    const writer = new ByteWriter();
    for (let i = 0; i < LIMITS.vocabulary; i++) {
      encodeBody(writer, vocabulary, {
        event: { type: `t${i}`, data: {} },
        change: { form: 'keyframe', entries: [[`k${i}`, 0]] },
      });
    }
    const mark = vocabulary.mark();
    expect(mark).toEqual({ templates: LIMITS.vocabulary, names: LIMITS.vocabulary });
    writer.truncate(0);
    const body: Body = { event: { type: 'more', data: {} }, change: { form: 'keyframe', entries: [['key', 1]] } };
    encodeBody(writer, vocabulary, body);
    const bytes = writer.take();
    expect(Buffer.from(bytes).toString('hex')).toBe('06046d6f726500' + '01ff7f036b657901');
    expect(vocabulary.mark()).toEqual(mark);
    const reader = new ByteReader(bytes, 'BAD_MESSAGE');
    expect(decodeBody(reader, vocabulary, new LiveState(JSON_PROFILE))).toEqual(body);
    expect(vocabulary.mark()).toEqual(mark);
  });

  test('large templates fill the vocabulary by their size', () => {
    const vocabulary = new Vocabulary(JSON_PROFILE);
    const reader = new Vocabulary(JSON_PROFILE);
    for (let i = 0; i < 100; i++) {
      const event = { type: `t${i}`, data: { ['x'.repeat(1_000)]: i } };
      const writer = new ByteWriter();
      encodeBody(writer, vocabulary, { event });
      const bytes = writer.take();
      expect(decodeBody(new ByteReader(bytes, 'BAD_MESSAGE'), reader, new LiveState(JSON_PROFILE))).toEqual({ event });
    }
    expect(reader.learnedTemplates).toEqual(vocabulary.learnedTemplates);
    expect(reader.learnedTemplates.length).toBe(Math.floor(LIMITS.vocabularyUnits / 1_005));
  });

  test('types and keys that only look alike when joined are told apart', () => {
    const vocabulary = new Vocabulary(JSON_PROFILE);
    const reader = new Vocabulary(JSON_PROFILE);
    const events: GameEvent[] = [
      { type: 'a\0b', data: {} },
      { type: 'a', data: { b: 1 } },
      { type: 'a\0b', data: { c: 2 } },
      { type: 'a', data: { 'b\0c': 3 } },
      { type: 'a', data: { b: 1, c: 2 } },
      { type: 'a', data: { c: 2, b: 1 } },
    ];
    for (const event of events) {
      const writer = new ByteWriter();
      encodeBody(writer, vocabulary, { event });
      const decoded = decodeBody(new ByteReader(writer.take(), 'BAD_MESSAGE'), reader, new LiveState(JSON_PROFILE));
      expect(decoded).toEqual({ event });
      expect(Object.keys(decoded.event?.data ?? {})).toEqual(Object.keys(event.data));
    }
  });

  test('a body of the relay relies on the profile alone, and means the same before and after the producer learns', () => {
    const learned = new Vocabulary(JSON_PROFILE);
    const write = (vocabulary: Vocabulary, body: Body, learn: boolean) => {
      const writer = new ByteWriter();
      encodeBody(writer, vocabulary, body, { editEnd: () => 0, learn });
      return writer.take();
    };
    const body: Body = {
      event: { type: 'rewound', data: { name: 'start' } },
      change: {
        form: 'keyframe',
        entries: [
          ['code', ''],
          ['score', 1],
        ],
      },
    };
    write(learned, body, true);
    const mark = learned.mark();
    const bytes = write(learned, body, false);
    expect(learned.mark()).toEqual(mark);
    expect(bytes).toEqual(write(new Vocabulary(JSON_PROFILE), body, false));
    for (const vocabulary of [learned, new Vocabulary(JSON_PROFILE)]) {
      const decoded = decodeBody(new ByteReader(bytes, 'BAD_MESSAGE'), vocabulary, new LiveState(JSON_PROFILE));
      expect(decoded).toEqual(body);
    }
    const join = { event: { type: 'player_join', data: { name: 'Ada' } } };
    expect(write(new Vocabulary(JSON_PROFILE), join, false)).toEqual(bytesOf('0c', 'a3416461'));
  });

  test('encoding what cannot be encoded leaves writer and vocabulary as they were', () => {
    const vocabulary = new Vocabulary(JSON_PROFILE);
    const writer = new ByteWriter();
    writer.byte(1);
    const change: StateChange = {
      form: 'keyframe',
      entries: [
        ['fine', 1],
        ['x'.repeat(65), 2],
      ],
    };
    const encode = () => encodeBody(writer, vocabulary, { event: { type: 'new', data: {} }, change });
    expect(codeOf(encode)).toBe('LIMIT_EXCEEDED');
    expect([writer.length, vocabulary.mark()]).toEqual([1, { templates: 0, names: 0 }]);
  });
});

function expectSame(reader: ProducerContext, producer: TestProducer): void {
  expect(reader.vocabulary.learnedTemplates).toEqual(producer.vocabulary.learnedTemplates);
  expect(reader.vocabulary.learnedNames).toEqual(producer.vocabulary.learnedNames);
  expect([...reader.state.entries()]).toEqual([...producer.state.entries()]);
  expect(reader.state.bytes).toBe(producer.state.bytes);
  expect(reader.state.hash()).toBe(producer.state.hash());
}

/** Bodies of each form and op, each with the bodies that come before it. */
function sampleBodies(): { body: Uint8Array; before: Uint8Array[] }[] {
  const producer = new TestProducer(LMSP_PROFILE);
  const first = {
    current_code: 'a😀b',
    cursor_position: [0, 3],
    session_duration: 1.5,
    mastery_levels: { loops: 2, lists: [1, 2] },
    note: 'n',
  };
  const key = { type: 'keystroke', data: { char: 'é', modifiers: ['ctrl'] } };
  const bodies = [
    producer.encode({ type: 'own', data: { text: 't', n: -1.5 } }, first, 0),
    producer.encode(key, { ...first, current_code: 'a😀éb', cursor_position: [0, 4] }, 1),
    producer.encode(key, { ...first, current_code: 'aé', mastery_levels: { loops: 2, lists: [1, 5, 6, 2] } }, 2, true),
    producer.encode(
      undefined,
      { ...first, current_code: 'aéwide 世', mastery_levels: { loops: { of: 'a longer value here' }, lists: [] } },
      3,
    ),
    producer.encodeChange(
      key,
      {
        form: 'delta',
        ops: [
          { op: 'set', key: 'session_duration', value: 9 },
          { op: 'add', key: 'session_duration', by: [500] },
          { op: 'delete', key: 'note' },
          { op: 'splice', key: 'current_code', at: 1, remove: 1, insert: '' },
          { op: 'nest', key: 'mastery_levels', path: ['loops', 'of'], change: { op: 'delete' } },
        ],
      },
      4,
    ),
  ];
  return bodies.map((body, index) => ({ body, before: bodies.slice(0, index) }));
}

function contextOf(bodies: readonly Uint8Array[]): ProducerContext {
  const context = new ProducerContext(LMSP_PROFILE, PRODUCER);
  for (const [index, body] of bodies.entries()) context.read(body, index, 'DAMAGED');
  return context;
}

function snapshotOf({ vocabulary, state }: ProducerContext): unknown {
  const { learnedTemplates, learnedNames } = vocabulary;
  return {
    templates: [...learnedTemplates],
    names: [...learnedNames],
    entries: [...state.entries()],
    stamp: state.stamp,
    bytes: state.bytes,
  };
}

function mapOf(state: State): { keys(): Iterable<string>; get(key: string): State[string] | undefined } {
  return new Map(Object.entries(state));
}

function bytesOf(...hex: string[]): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.join(''), 'hex'));
}
