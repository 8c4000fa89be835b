import {
  ByteReader,
  ByteWriter,
  canonicalJson,
  crc32,
  type DeltaOp,
  decodeBody,
  encodeBody,
  JSON_PROFILE,
  type Json,
  LIMITS,
  LiveState,
  LMSP_PROFILE,
  ProducerContext,
  type Profile,
  readKeyframe,
  type State,
  type StateChange,
  Vocabulary,
  writeKeyframe,
} from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyJson, anyText } from '../support/arbitraries.ts';
import { codeOf } from '../support/errors.ts';
import { runningTime } from '../support/running-time.ts';
import { applyNaively } from '../support/state-oracle.ts';

const START: State = {
  text: 'a😀b',
  long: 'lorem 😀 ipsum '.repeat(60),
  number: 7,
  numbers: [1, 2, 3],
  tree: { a: [1, { b: 'x' }], c: {} },
  list: [[1], [2], {}],
  none: null,
};
const anyName = fc.constantFrom(...Object.keys(START), 'new');
const anyStep = fc.oneof(fc.nat({ max: 3 }), fc.constantFrom('a', 'b', 'c'));

const anyOp: fc.Arbitrary<DeltaOp> = fc.oneof(
  fc.record({ op: fc.constant('set' as const), key: anyName, value: anyJson(2) }),
  fc.record({ op: fc.constant('delete' as const), key: anyName }),
  fc.record({
    op: fc.constant('splice' as const),
    key: fc.constantFrom('text', 'long', 'text', 'long', 'number', 'new'),
    at: fc.oneof(fc.integer({ min: -1, max: 6 }), fc.nat({ max: 900 })),
    remove: fc.oneof(fc.nat({ max: 2 }), fc.nat({ max: 700 })),
    insert: fc.oneof(anyText(), fc.constant('y'.repeat(600))),
  }),
  fc.record({
    op: fc.constant('add' as const),
    key: anyName,
    by: fc.array(fc.oneof(fc.integer({ min: -9, max: 9 }), fc.constant(2 ** 52 - 1)), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({
    op: fc.constant('nest' as const),
    key: fc.constantFrom('numbers', 'tree', 'tree', 'list', 'list', 'text', 'long', 'new'),
    path: fc.array(anyStep, { maxLength: 3 }),
    change: fc.oneof(
      fc.record({ op: fc.constant('set' as const), value: anyJson(2) }),
      fc.record({ op: fc.constant('delete' as const) }),
      fc.record({
        op: fc.constant('splice' as const),
        at: fc.nat({ max: 3 }),
        remove: fc.nat({ max: 2 }),
        insert: fc.array(anyJson(1), { maxLength: 3 }),
      }),
    ),
  }),
);

describe('a delta', () => {
  test('[D3] gives what its ops say one after another, or leaves everything as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.array(anyOp, { maxLength: 4 }), { maxLength: 12 }), (deltas) => {
        const state = stateOf(START);
        let expected: State = START;
        for (const [index, ops] of deltas.entries()) {
          const before = everythingOf(state);
          const next = ops.reduce<State | undefined>((now, op) => now && applyNaively(now, op), expected);
          const code = codeOf(() => state.apply({ form: 'delta', ops }, index));
          expect(code).toBe(next ? undefined : 'BAD_DELTA');
          if (next) expected = next;
          else expect(everythingOf(state)).toEqual(before);
          expect(state.toJson()).toEqual(expected);
        }
        // Size is a sum: however the state came about, it is that of its values.
        expect(state.bytes).toBe(stateOf(expected).bytes);
        expect(state.hash()).toBe(crc32(new TextEncoder().encode(canonicalJson(expected))));
      }),
      { numRuns: 1_000 },
    );
  });

  test('[D3] a wrong check leaves everything as it was, a right one does not', () => {
    fc.assert(
      fc.property(fc.array(anyOp, { maxLength: 4 }), (ops) => {
        const state = stateOf(START);
        const after = stateOf(START);
        if (codeOf(() => after.apply({ form: 'delta', ops }, 5)) !== undefined) return;
        const before = everythingOf(state);
        const check = after.hash();
        expect(codeOf(() => state.apply({ form: 'delta', ops, check: check ^ 1 }, 5))).toBe('BAD_DELTA');
        expect(everythingOf(state)).toEqual(before);
        state.apply({ form: 'delta', ops, check }, 5);
        expect(everythingOf(state)).toEqual(everythingOf(after));
      }),
    );
  });

  test('[D3] what a caller refuses is undone, keyframes too', () => {
    const state = stateOf(START);
    const before = everythingOf(state);
    const changes: StateChange[] = [
      { form: 'keyframe', entries: [['other', 1]] },
      {
        form: 'delta',
        ops: [
          { op: 'splice', key: 'long', at: 3, remove: 600, insert: 'z' },
          { op: 'delete', key: 'text' },
        ],
      },
    ];
    for (const change of changes) {
      const refuse = () => {
        throw new Error('refused');
      };
      expect(() => state.apply(change, 9, undefined, refuse)).toThrow('refused');
      expect(everythingOf(state)).toEqual(before);
    }
  });

  test('a body brings the same ops to the other side', () => {
    fc.assert(
      fc.property(fc.array(anyOp, { maxLength: 5 }), (ops) => {
        const state = stateOf(START);
        if (codeOf(() => stateOf(START).apply({ form: 'delta', ops }, 0)) !== undefined) return;
        const writer = new ByteWriter();
        const change: StateChange = { form: 'delta', ops };
        encodeBody(writer, new Vocabulary(JSON_PROFILE), { change });
        expect(decodeBody(new ByteReader(writer.take(), 'DAMAGED'), new Vocabulary(JSON_PROFILE), state)).toEqual({
          change,
        });
      }),
      { numRuns: 500 },
    );
  });

  test('a snapshot is not reached by what comes after it', () => {
    const state = stateOf(START);
    const apply = (...ops: DeltaOp[]) => state.apply({ form: 'delta', ops }, 0);
    apply({ op: 'nest', key: 'tree', path: ['a', 0], change: { op: 'set', value: 2 } });
    const snapshot = state.toJson();
    const copy = structuredClone(snapshot);
    apply(
      { op: 'nest', key: 'tree', path: ['a', 0], change: { op: 'set', value: 3 } },
      { op: 'nest', key: 'tree', path: ['a'], change: { op: 'splice', at: 0, remove: 1, insert: [] } },
      { op: 'nest', key: 'tree', path: ['c', 'd'], change: { op: 'set', value: 4 } },
      { op: 'add', key: 'numbers', by: [1, 1, 1] },
      { op: 'splice', key: 'long', at: 0, remove: 6, insert: '' },
    );
    expect(snapshot).toEqual(copy);
  });
});

describe('long texts', () => {
  const splices = fc.array(
    fc.record({
      place: fc.double({ min: 0, max: 1, noNaN: true }),
      jump: fc.boolean(),
      remove: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 3_000 })),
      insert: fc.oneof(
        anyText(3),
        anyText(40),
        fc.integer({ min: 200, max: 9_000 }).map((n) => '0123456789😀'.repeat(n / 11)),
      ),
    }),
    { maxLength: 60, size: 'max' },
  );

  test('[D1] are what a plain string would be, however they are edited', () => {
    fc.assert(
      fc.property(fc.nat({ max: 9_000 }), splices, (length, edits) => {
        let plain = 'x😀yz\n'.repeat(length / 6);
        const state = stateOf({ text: plain });
        let at = 0;
        for (const { place, jump, remove, insert } of edits) {
          at = boundary(plain, jump ? Math.floor(place * plain.length) : Math.min(at + insert.length, plain.length));
          const end = boundary(plain, Math.min(at + remove, plain.length));
          state.apply({ form: 'delta', ops: [{ op: 'splice', key: 'text', at, remove: end - at, insert }] }, 0);
          plain = plain.slice(0, at) + insert + plain.slice(end);
          expect(state.textLength('text')).toBe(plain.length);
          expect(state.editEnd('text')).toBe(at + insert.length);
          // Asked now and then, so that some pieces know their part and others do not.
          if (place < 0.4) expect(state.hash()).toBe(crc32(new TextEncoder().encode(canonicalJson({ text: plain }))));
        }
        expect(state.get('text')).toBe(plain);
        expect(state.bytes).toBe(stateOf({ text: plain }).bytes);
      }),
      { numRuns: 200 },
    );
  });

  test('[D1] a megabyte is pasted and cut again', () => {
    const state = stateOf({ text: 'ab' });
    const paste = 'line of code 世\n'.repeat(69_000);
    const splice = (at: number, remove: number, insert: string) =>
      state.apply({ form: 'delta', ops: [{ op: 'splice', key: 'text', at, remove, insert }] }, 0);
    splice(1, 0, paste);
    expect(state.get('text')).toBe(`a${paste}b`);
    splice(500_000, 1, '!');
    splice(1, 500_000, '');
    splice(2, paste.length - 500_001, '');
    expect(state.get('text')).toBe(`a${paste[500_000]}b`);
  });

  test('[D2] every position inside a code point is refused, at every place of a text in pieces', () => {
    const plain = '😀a'.repeat(2_000);
    const state = stateOf({ text: plain });
    const apply = (op: Omit<DeltaOp & { op: 'splice' }, 'op' | 'key'>) =>
      codeOf(() => state.apply({ form: 'delta', ops: [{ op: 'splice', key: 'text', ...op }] }, 0));
    expect(apply({ at: 0, remove: 0, insert: 'b' })).toBeUndefined();
    expect(apply({ at: 0, remove: 1, insert: '' })).toBeUndefined();
    for (let at = -1; at <= plain.length + 1; at++) {
      const fits = at >= 0 && at <= plain.length && plain.slice(0, at).isWellFormed();
      expect([at, state.fitsText('text', { at, remove: 0 })]).toEqual([at, fits]);
      expect(state.fitsText('text', { at: 0, remove: at })).toBe(fits);
    }
    expect(apply({ at: 1, remove: 1, insert: '' })).toBe('BAD_DELTA');
    expect(apply({ at: 0, remove: 1, insert: '' })).toBe('BAD_DELTA');
    expect(apply({ at: plain.length, remove: 1, insert: '' })).toBe('BAD_DELTA');
    expect(state.get('text')).toBe(plain);
    for (const at of [0.5, Number.NaN]) expect(state.fitsText('text', { at, remove: 0 })).toBe(false);
    for (const remove of [0.5, Number.NaN, -1]) expect(state.fitsText('text', { at: 0, remove })).toBe(false);
  });

  test('[D1] a keystroke in 1 MB costs about what it costs in 10 KB', () => {
    const cost = (length: number) => {
      const state = stateOf({ text: 'x'.repeat(length) });
      const tookMs = runningTime();
      for (let i = 0; i < 20_000; i++) {
        const at = Math.floor(length / 2) + i;
        state.apply({ form: 'delta', ops: [{ op: 'splice', key: 'text', at, remove: 0, insert: 'a' }] }, i);
      }
      return tookMs();
    };
    cost(10_000);
    const best = (length: number) => Math.min(cost(length), cost(length), cost(length));
    // Copying the text at every keystroke would make it a hundred times as much; the exact figure is a bench's.
    expect(best(1_000_000)).toBeLessThan(10 * best(10_000) + 20);
  });
});

describe('clock keys', () => {
  const KEY = 'session_duration';
  const keyframe = (value: Json): StateChange => ({
    form: 'keyframe',
    entries: [
      [KEY, value],
      ['other', 1],
    ],
  });
  const set = (value: Json): StateChange => ({ form: 'delta', ops: [{ op: 'set', key: KEY, value }] });
  const add = (by: number): StateChange => ({ form: 'delta', ops: [{ op: 'add', key: KEY, by: [by] }] });

  test('[D5] follow the clock from a keyframe on, stand still when set, follow again when added to', () => {
    const state = new LiveState(LMSP_PROFILE);
    state.apply(keyframe(1.5), 1_000_000);
    expect([state.get(KEY), state.followsClock(KEY)]).toEqual([1.5, true]);
    state.stamp = 2_000_001;
    expect(state.get(KEY)).toBe(2.500_001);
    state.apply(set(4), 3_000_000);
    state.stamp = 9_000_000;
    expect([state.get(KEY), state.followsClock(KEY)]).toEqual([4, false]);
    state.apply(add(250_000), 9_500_000);
    state.stamp = 9_500_100;
    expect([state.get(KEY), state.followsClock(KEY)]).toEqual([4.250_1, true]);
    state.apply({ form: 'delta', ops: [{ op: 'delete', key: KEY }] }, 9_600_000);
    expect([state.get(KEY), state.followsClock(KEY), state.toJson()]).toEqual([undefined, false, { other: 1 }]);
  });

  test('[D5] are the same after their keyframe record, however they came about and wherever the clock goes', () => {
    const changes = fc.oneof(
      fc.record({ kind: fc.constant('set'), value: fc.double({ min: 0, max: 1e9, noNaN: true }) }),
      fc.record({ kind: fc.constant('keyframe'), value: fc.double({ min: 0, max: 1e9, noNaN: true }) }),
      fc.record({ kind: fc.constant('add'), value: fc.integer() }),
      fc.record({ kind: fc.constant('bad'), value: fc.integer() }),
      fc.record({ kind: fc.constant('wait'), value: fc.nat() }),
    );
    const step = fc.tuple(changes, fc.integer({ min: -1_000, max: 10_000_000 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const context = new ProducerContext(LMSP_PROFILE, { index: 3, player: 'ada', instance: 'i' });
        context.state.apply(keyframe(0.123_456_789), 0);
        let stamp = 0;
        let restored = reread(context);
        for (const [{ kind, value }, move] of steps) {
          stamp += move;
          for (const { state } of [context, restored]) change(state, kind, value, stamp);
          context.stamp = context.state.stamp;
          expect(everythingOf(restored.state)).toEqual(everythingOf(context.state));
          if (value % 3 < 1) restored = reread(context);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('[D5] a value that microseconds cannot count stands still, and is never infinite', () => {
    for (const value of [1e300, -1e300, 1e10, 'soon', null]) {
      const state = new LiveState(LMSP_PROFILE);
      state.apply(keyframe(value), 0);
      state.stamp = 1_000_000;
      expect([state.get(KEY), state.followsClock(KEY)]).toEqual([value, false]);
      expect(codeOf(() => state.apply(add(2 ** 52 - 1), 0))).toBe('BAD_DELTA');
      expect(state.get(KEY)).toBe(value);
    }
  });

  test('[D5] only the profile decides which keys follow', () => {
    const state = new LiveState(JSON_PROFILE);
    state.restore([{ key: KEY, value: 1, editEnd: 0, followsClock: true }], 0);
    state.stamp = 500;
    expect([state.get(KEY), state.followsClock(KEY)]).toEqual([1, false]);
  });

  function change(state: LiveState, kind: string, value: number, stamp: number): void {
    if (kind === 'set') state.apply(set(value), stamp);
    else if (kind === 'keyframe') state.apply(keyframe(value), stamp);
    else if (kind === 'add') state.apply(add(value), stamp);
    else if (kind === 'wait') state.stamp = stamp;
    else {
      const ops = [...opsOf(add(value)), { op: 'delete' as const, key: 'missing' }];
      expect(codeOf(() => state.apply({ form: 'delta', ops }, stamp))).toBe('BAD_DELTA');
    }
  }
});

describe('limits', () => {
  test('[S2] a state is at most so many bytes, keys and bytes a key, and one too many changes nothing', () => {
    const most = LIMITS.stateBytes - 'text'.length - 2;
    const state = stateOf({ text: 'x'.repeat(most) });
    expect(state.bytes).toBe(LIMITS.stateBytes);
    const before = everythingOf(state);
    const refused: StateChange[] = [
      { form: 'delta', ops: [{ op: 'splice', key: 'text', at: 5, remove: 0, insert: 'y' }] },
      { form: 'delta', ops: [{ op: 'set', key: 'n', value: null }] },
      { form: 'keyframe', entries: [['text', 'x'.repeat(most + 1)]] },
      { form: 'keyframe', entries: Array.from({ length: LIMITS.stateKeys + 1 }, (_, i) => [`k${i}`, 0]) },
      { form: 'keyframe', entries: [['é'.repeat(33), 0]] },
      { form: 'delta', ops: [{ op: 'set', key: 'é'.repeat(33), value: 0 }] },
      { form: 'keyframe', entries: [['list', new Array(300_000).fill(0)]] },
    ];
    for (const change of refused) {
      expect(codeOf(() => state.apply(change, 1))).toBe('LIMIT_EXCEEDED');
      expect(everythingOf(state)).toEqual(before);
    }
    const full: State = Object.fromEntries(Array.from({ length: LIMITS.stateKeys }, (_, i) => [`k${i}`, 0]));
    expect(stateOf(full).size).toBe(LIMITS.stateKeys);
    expect(stateOf({ ['é'.repeat(32)]: 0 }).size).toBe(1);
  });

  test('[S2] nested changes cannot grow a value past what a reader of its keyframe accepts', () => {
    const deep = (depth: number): Json => (depth === 0 ? 1 : [deep(depth - 1)]);
    const state = stateOf({ tree: deep(LIMITS.depth), list: new Array(LIMITS.nodes - 1).fill(0), map: {} });
    const before = everythingOf(state);
    const zeros = new Array(LIMITS.depth - 1).fill(0);
    const nests: Omit<DeltaOp & { op: 'nest' }, 'op'>[] = [
      { key: 'tree', path: [...zeros, 0], change: { op: 'set', value: [] } },
      { key: 'tree', path: zeros, change: { op: 'splice', at: 0, remove: 0, insert: [[]] } },
      { key: 'map', path: ['a'], change: { op: 'set', value: deep(LIMITS.depth) } },
      { key: 'list', path: [], change: { op: 'splice', at: 0, remove: 0, insert: [0] } },
      { key: 'list', path: [4], change: { op: 'set', value: [1] } },
    ];
    for (const nest of nests) {
      expect(codeOf(() => state.apply({ form: 'delta', ops: [{ op: 'nest', ...nest }] }, 0))).toBe('LIMIT_EXCEEDED');
      expect(everythingOf(state)).toEqual(before);
    }
    const context = new ProducerContext(JSON_PROFILE, { index: 0, player: 'a', instance: 'i' });
    context.state.apply({ form: 'keyframe', entries: Object.entries(state.toJson()) }, 0);
    expect(reread(context).state.toJson()).toEqual(state.toJson());
  });

  test('[W11] thousands of changes inside one large value cost no more than a few copies of it', () => {
    const keys = Array.from({ length: LIMITS.nodes - 1 }, (_, index) => [`k${index}`, 0]);
    const state = stateOf({ map: Object.fromEntries(keys), list: new Array(LIMITS.nodes - 1).fill(0) });
    const ops = Array.from({ length: LIMITS.deltaOps }, (_, index): DeltaOp => {
      const change = { op: 'set' as const, value: index };
      return index % 2
        ? { op: 'nest', key: 'map', path: [`k${index}`], change }
        : { op: 'nest', key: 'list', path: [index], change };
    });
    const tookMs = runningTime();
    state.apply({ form: 'delta', ops }, 0);
    expect(tookMs()).toBeLessThan(1_000);
    expect((state.get('list') as Json[])[4_094]).toBe(4_094);
  });
});

describe('a keyframe record', () => {
  test('brings back vocabulary, state, edit ends and numbers', () => {
    const context = new ProducerContext(JSON_PROFILE, { index: 7, player: 'ada', instance: 'i' });
    Object.assign(context, { pseq: 12, time: -5, hlc: 3, stamp: 123_456 });
    const writer = new ByteWriter();
    const first: StateChange = { form: 'keyframe', entries: Object.entries(START) };
    encodeBody(writer, new Vocabulary(JSON_PROFILE), { event: { type: 'own', data: { x: 1 } }, change: first });
    context.read(writer.take(), 123_456, 'DAMAGED');
    context.state.apply(
      { form: 'delta', ops: [{ op: 'splice', key: 'long', at: 6, remove: 2, insert: 'x' }] },
      123_456,
    );
    const again = reread(context);
    expect(again).toMatchObject({ index: 7, player: 'ada', instance: 'i', pseq: 12, time: -5, hlc: 3, stamp: 123_456 });
    expect(again.vocabulary.learnedTemplates).toEqual(context.vocabulary.learnedTemplates);
    expect(again.vocabulary.learnedNames).toEqual(context.vocabulary.learnedNames);
    expect(everythingOf(again.state)).toEqual(everythingOf(context.state));
    expect(again.state.editEnd('long')).toBe(7);
  });
});

function stateOf(state: State): LiveState {
  const live = new LiveState(JSON_PROFILE);
  live.apply({ form: 'keyframe', entries: Object.entries(state) }, 0);
  return live;
}

function everythingOf(state: LiveState): unknown {
  return { entries: [...state.entries()], stamp: state.stamp, bytes: state.bytes, hash: state.hash() };
}

function opsOf(change: StateChange): readonly DeltaOp[] {
  return change.form === 'delta' ? change.ops : [];
}

function reread(context: ProducerContext, profile: Profile = context.vocabulary.profile): ProducerContext {
  const writer = new ByteWriter();
  writeKeyframe(writer, context);
  const reader = new ByteReader(writer.take(), 'DAMAGED');
  const again = readKeyframe(reader, profile, () => context);
  reader.end();
  return again;
}

/** The nearest position at or after `at` that is between code points. */
function boundary(text: string, at: number): number {
  return text.slice(0, at).isWellFormed() ? at : at + 1;
}
