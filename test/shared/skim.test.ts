import {
  type Body,
  ByteWriter,
  encodeBody,
  type GameEvent,
  JSON_PROFILE,
  LMSP_PROFILE,
  ProducerContext,
  type TimelineEntry,
  Vocabulary,
  writeKeyframe,
} from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyData, anyState, anyStateEdit, anyText, editState } from '../support/arbitraries.ts';
import { bitFlips } from '../support/damage.ts';
import { errorOf } from '../support/errors.ts';
import { recordSession } from '../support/recorded-session.ts';
import { TestProducer } from '../support/test-producer.ts';

const PRODUCER = { index: 0, player: 'ada', instance: 'i1' };
const anyEvent: fc.Arbitrary<GameEvent> = fc.record({ type: anyText(8), data: anyData });

type Asked = 'skim' | 'state' | 'names' | 'keyframe' | 'advance' | 'read';
type Take = (context: ProducerContext, entry: TimelineEntry) => GameEvent | undefined;

const skim: Take = (context, entry) => context.skim(entry, 'DAMAGED');
/** How an entry is taken, and what is asked for after it. */
const TAKE: Record<Asked, Take> = {
  skim,
  state: skim,
  names: skim,
  keyframe: skim,
  advance: (context, entry) => context.advance(entry, 'DAMAGED').event,
  read: (context, entry) => {
    const { event } = context.read(entry.body, entry.stamp ?? 0, 'DAMAGED');
    context.follow(entry);
    return event;
  },
};
const ASK: Partial<Record<Asked, (context: ProducerContext) => unknown>> = {
  state: ({ state }) => [...state.entries()],
  names: ({ vocabulary }) => [...vocabulary.learnedNames],
  keyframe: (context) => keyframeOf(context),
};

describe('skimming', () => {
  test('[D3] gives the events of advancing, and its states wherever they are asked for', () => {
    const step = fc.record({
      event: fc.option(anyEvent, { nil: undefined }),
      edit: anyStateEdit,
      hasChange: fc.boolean(),
      hasCheck: fc.boolean(),
      move: fc.integer({ min: -5, max: 1_000 }),
      asks: fc.constantFrom<Asked>('skim', 'skim', 'skim', 'state', 'names', 'keyframe', 'advance', 'read'),
    });
    fc.assert(
      fc.property(anyState, fc.array(step, { maxLength: 14 }), (first, steps) => {
        const producer = new TestProducer(JSON_PROFILE);
        const [eager, lazy] = [contextOf(), contextOf()];
        let state = first;
        let stamp = 0;
        const entries = [entryOf(producer.encode(undefined, state, stamp), 1, stamp)];
        for (const { event, edit, hasChange, hasCheck, move } of steps) {
          stamp += move;
          if (hasChange) state = editState(state, edit);
          const next = hasChange || !event ? state : undefined;
          entries.push(entryOf(producer.encode(event, next, stamp, hasCheck), entries.length + 1, stamp));
        }
        for (const [index, entry] of entries.entries()) {
          const { event } = eager.advance(entry, 'DAMAGED');
          const asks = steps[index - 1]?.asks ?? 'skim';
          expect(TAKE[asks](lazy, entry)).toEqual(event);
          expect(numbersOf(lazy)).toEqual(numbersOf(eager));
          expect(ASK[asks]?.(lazy)).toEqual(ASK[asks]?.(eager));
        }
        expect(everythingOf(lazy)).toEqual(everythingOf(eager));
      }),
      { numRuns: 500 },
    );
  });

  test('[D3] is right for whole sessions: gaps, entries of the relay, clocks that lag', () => {
    const anySeed = fc.record({ seed: fc.nat({ max: 1_000 }), every: fc.integer({ min: 1, max: 90 }) });
    fc.assert(
      fc.property(anySeed, fc.constantFrom(JSON_PROFILE, LMSP_PROFILE), ({ seed, every }, profile) => {
        const { steps, producers } = recordSession({ profile, seed, entries: 200, players: 2, exact: false });
        const lazy = producers.map((producer) => new ProducerContext(profile, producer));
        for (const [index, { entry, event, state }] of steps.entries()) {
          const context = lazy[entry.producer] as ProducerContext;
          expect(context.skim(entry, 'DAMAGED')).toEqual(event);
          if (index % every === 0) expect(context.state.toJson()).toEqual(state ?? {});
        }
        const eager = producers.map((producer) => new ProducerContext(profile, producer));
        for (const { entry } of steps) eager[entry.producer]?.advance(entry, 'DAMAGED');
        expect(lazy.map(everythingOf)).toEqual(eager.map(everythingOf));
      }),
      { numRuns: 40 },
    );
  });

  test('[D3] a change that is bad is told of when the state is asked for, every time, with the event it came with', () => {
    const context = contextOf();
    context.skim(entryOf(bytesOf('02 01 00 0163 a161'), 1, 0), 'DAMAGED');
    // Cuts 9 code units out of a text of one, and names another key on the way.
    const bad = entryOf(bytesOf('05 0174 00 01 0164 05 c0 00 09'), 2, 5);
    expect(context.skim(bad, 'DAMAGED')).toEqual({ type: 't', data: {} });
    const good = entryOf(bytesOf('05 2001'), 3, 7);
    const advanced = contextOf();
    advanced.advance(entryOf(bytesOf('02 01 00 0163 a161'), 1, 0), 'DAMAGED');
    const error = errorOf(() => advanced.advance(bad, 'DAMAGED'));
    for (const ask of [
      () => context.state,
      () => context.vocabulary,
      () => context.restart(),
      () => context.skipTo(9),
      () => context.advance(good, 'DAMAGED'),
      () => context.state,
    ]) {
      expect(errorOf(ask)).toMatchObject({ code: 'BAD_DELTA', message: error?.message });
      expect(error?.message).toContain('event 2 of player ada: ');
    }
  });

  test('[D3] whatever is bad in a body, the same is said of it as by advancing, now or when the state is asked for', () => {
    const producer = new TestProducer(LMSP_PROFILE);
    const before = producer.encode({ type: 'own', data: { text: 't' } }, { current_code: 'a😀b', tests: [1, 2] }, 0);
    const event = { type: 'new', data: { char: 'é', more: [{ a: 1 }] } };
    const body = producer.encode(event, { current_code: 'a😀éb', tests: [1, 4], more: { b: -1.5 } }, 1, true);
    for (const damaged of bitFlips(body)) {
      const [eager, lazy] = [contextOf(LMSP_PROFILE), contextOf(LMSP_PROFILE)];
      for (const context of [eager, lazy]) context.advance(entryOf(before, 1, 0), 'DAMAGED');
      const entry = entryOf(damaged, 2, 1);
      const expected = errorOf(() => eager.advance(entry, 'DAMAGED'));
      const skimmed = errorOf(() => lazy.skim(entry, 'DAMAGED'));
      const found = skimmed ?? errorOf(() => lazy.state);
      expect([found?.code, found?.message]).toEqual([expected?.code, expected?.message]);
      if (skimmed || !found) expect(everythingOf(lazy)).toEqual(everythingOf(eager));
    }
  });

  test('[R6] what waits is bounded: after so many entries the changes are made unasked', () => {
    const context = contextOf();
    context.skim(entryOf(bytesOf('02 01 00 0163 a0'), 1, 0), 'DAMAGED');
    context.skim(entryOf(bytesOf('01 c0 00 09'), 2, 0), 'DAMAGED');
    const writer = new ByteWriter();
    const body: Body = { event: { type: 'paste', data: { text: 'x'.repeat(50_000) } } };
    encodeBody(writer, new Vocabulary(JSON_PROFILE), body, { editEnd: () => 0, learn: false });
    const bytes = writer.take();
    let skimmed = 0;
    const skim = () => {
      while (skimmed < 1_000) context.skim(entryOf(bytes, 3 + skimmed++, 0), 'DAMAGED');
    };
    expect(errorOf(skim)).toMatchObject({
      code: 'BAD_DELTA',
      message: expect.stringContaining('event 2 of player ada'),
    });
    expect(skimmed).toBeGreaterThan(10);
    expect(skimmed).toBeLessThan(100);
  });
});

function contextOf(profile = JSON_PROFILE): ProducerContext {
  return new ProducerContext(profile, PRODUCER);
}

function entryOf(body: Uint8Array, pseq: number, stamp: number): TimelineEntry {
  return { seq: pseq, producer: 0, pseq, time: stamp, hlc: 0, stamp, body };
}

function numbersOf({ pseq, time, hlc, stamp }: ProducerContext): unknown {
  return { pseq, time, hlc, stamp };
}

function everythingOf(context: ProducerContext): unknown {
  const { state, vocabulary } = context;
  return {
    numbers: numbersOf(context),
    entries: [...state.entries()],
    stamp: state.stamp,
    bytes: state.bytes,
    hash: state.hash(),
    templates: vocabulary.learnedTemplates,
    names: vocabulary.learnedNames,
  };
}

function keyframeOf(context: ProducerContext): Uint8Array {
  const writer = new ByteWriter();
  writeKeyframe(writer, context);
  return writer.take();
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}
