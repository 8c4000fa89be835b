import { openRecording, Replay, type State, type Tape } from '@gametape/client-sdk';
import {
  type ByteSource,
  BytesSink,
  BytesSource,
  JSON_PROFILE,
  LMSP_PROFILE,
  makeRecordingId,
  PlayClock,
  type Profile,
  RecordingWriter,
  type TimelineEntry,
} from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameClock } from '../support/frame-clock.ts';
import { type RecordedStep, recordSession } from '../support/recorded-session.ts';

const anySession = fc.record({
  seed: fc.nat({ max: 10_000 }),
  profile: fc.constantFrom(JSON_PROFILE, LMSP_PROFILE),
  perBlock: fc.constantFrom(1, 7, 40, 1_000),
});

/** One thing that somebody does with a replay. Places are fractions of the whole. */
type Move =
  | { readonly do: 'seek'; readonly to: number }
  | { readonly do: 'play'; readonly frames: number; readonly ms: number; readonly rate: number }
  | { readonly do: 'step'; readonly events: number };

const anyMove: fc.Arbitrary<Move> = fc.oneof(
  fc.record({ do: fc.constant('seek'), to: fc.double({ min: -0.1, max: 1.1, noNaN: true }) }),
  fc.record({
    do: fc.constant('play'),
    frames: fc.integer({ min: 1, max: 30 }),
    ms: fc.integer({ min: 1, max: 150 }),
    rate: fc.constantFrom(0.1, 1, 4, 16),
  }),
  fc.record({ do: fc.constant('step'), events: fc.integer({ min: -6, max: 6 }) }),
);

describe('a replay of a recording', () => {
  test('[V3] seek(t) equals play to t, for every t, wherever it came from', async () => {
    await fc.assert(
      fc.asyncProperty(anySession, fc.array(anyMove, { minLength: 1, maxLength: 12 }), async (session, moves) => {
        const { tape, events } = await opened(session);
        const user = new User(tape, events);
        for (const move of moves) await user.make(move);
        user.replay.close();
        await tape.close();
      }),
      { numRuns: 100 },
    );
  });

  test('[V3] playing from the start shows every event once, in order, each with the state after it', async () => {
    await fc.assert(
      fc.asyncProperty(anySession, fc.constantFrom(0.5, 3, 16), async (session, rate) => {
        const { tape, steps } = await opened(session);
        const { replay, clock } = replayOf(tape);
        const shown: unknown[] = [];
        const changes: number[] = [];
        let isOnTime = true;
        replay.on('event', ({ seq, player, type, data, time, late, state }) => {
          shown.push({ seq, player, type, data, late, state });
          isOnTime &&= replay.currentTime === Math.min(time, tape.duration);
        });
        replay.on('change', ({ seq }) => changes.push(seq));
        replay.playbackRate = rate;
        replay.play();
        await clock.settled(replay);
        while (!replay.paused) await clock.pass(100, replay);
        expect(shown).toEqual(
          steps
            .filter(({ event }) => event)
            .map(({ entry, event, state }) => {
              const player = `player-${entry.producer % 2}`;
              return { seq: entry.seq, player, ...event, late: false, state: state ?? expect.anything() };
            }),
        );
        expect(isOnTime).toBe(true);
        expect(changes).toEqual(steps.map(({ entry }) => entry.seq));
        expect([replay.ended, replay.currentTime]).toEqual([true, tape.duration]);
        expect(statesOf(replay)).toEqual(await tape.statesAt(Number.POSITIVE_INFINITY));
        // Playing again starts over.
        replay.play();
        await clock.settled(replay);
        expect([replay.ended, replay.currentTime]).toEqual([false, 0]);
        replay.close();
      }),
      { numRuns: 40 },
    );
  });

  test('[V3] a state that changes without an event is shown when it does', async () => {
    const { tape, steps } = await opened({ seed: 12, profile: JSON_PROFILE, perBlock: 40 });
    const quiet = steps.find(({ entry, event, state }) => !event && state && entry.time > 1e6) as RecordedStep;
    const { replay, clock } = replayOf(tape);
    const player = `player-${quiet.entry.producer % 2}`;
    let shown: State | undefined;
    replay.on('change', ({ seq }) => {
      if (seq === quiet.entry.seq) shown = replay.stateOf(player);
    });
    replay.playbackRate = 16;
    replay.play();
    await clock.settled(replay);
    while (!replay.paused && !shown) await clock.pass(10, replay);
    expect(shown).toEqual(quiet.state);
  });

  test('of many seeks the last is shown, and nothing of an earlier one after it', async () => {
    const { bytes } = await recorded({ seed: 3, profile: JSON_PROFILE, perBlock: 7 });
    const source = new SlowSource(bytes);
    const tape = await openRecording(source);
    const { replay } = replayOf(tape);
    const shown: number[] = [];
    replay.on('seeked', (time) => shown.push(time));
    source.isSlow = true;
    const seeks = [0.9, 0.1, 0.5, 0.3, 0.7].map((part) => replay.seek(part * tape.duration));
    expect([replay.seeking, replay.currentTime]).toEqual([true, 0.7 * tape.duration]);
    while (replay.seeking) await source.answerOne();
    await Promise.all(seeks);
    expect(shown).toEqual([0.7 * tape.duration]);
    source.isSlow = false;
    expect(statesOf(replay)).toEqual(await tape.statesAt(0.7 * tape.duration));
    // The first was under way; those between were never begun.
    expect(source.reads).toBeLessThanOrEqual(4);
  });

  test('a step that has waited for a seek pauses what was played meanwhile, and play goes on after it', async () => {
    const { tape, events } = await opened({ seed: 3, profile: JSON_PROFILE, perBlock: 7 });
    const { replay, clock } = replayOf(tape);
    const seek = replay.seek(tape.duration / 2);
    const step = replay.step(1);
    replay.on('seeked', () => queueMicrotask(() => replay.play()));
    await seek;
    const event = await step;
    expect([replay.paused, event?.seq]).toEqual([true, events.find(({ time }) => time > tape.duration / 2)?.seq]);
    replay.play();
    replay.playbackRate = 16;
    while (!replay.paused) await clock.pass(100, replay);
    expect(replay.ended).toBe(true);
  });

  test('a seek while it plays goes on from there, and a block that is slow to come holds time up', async () => {
    const { bytes } = await recorded({ seed: 5, profile: JSON_PROFILE, perBlock: 7 });
    const source = new SlowSource(bytes);
    const tape = await openRecording(source);
    const { replay, clock } = replayOf(tape);
    replay.playbackRate = 16;
    replay.play();
    await clock.settled(replay);
    source.isSlow = true;
    for (let at = -1; at !== replay.currentTime; ) {
      at = replay.currentTime;
      const frame = clock.pass(100, replay);
      await Promise.race([frame, new Promise((resolve) => setTimeout(resolve, 20))]);
    }
    const stalledAt = replay.currentTime;
    expect(replay.ended).toBe(false);
    replay.currentTime = 0;
    expect(replay.paused).toBe(false);
    source.isSlow = false;
    await source.answerOne();
    await clock.settled(replay);
    expect(replay.currentTime).toBeLessThan(stalledAt);
    while (!replay.paused) await clock.pass(100, replay);
    expect(statesOf(replay)).toEqual(await tape.statesAt(tape.duration + 1));
  });

  test('time in which nothing happens is skipped past the longest gap', async () => {
    const { tape, steps } = await opened({ seed: 8, profile: JSON_PROFILE, perBlock: 40 });
    const { replay, clock } = replayOf(tape);
    replay.maxGap = 0.2;
    let frames = 0;
    const shown: number[] = [];
    replay.on('change', ({ seq }) => shown.push(seq));
    replay.play();
    await clock.settled(replay);
    for (; !replay.paused; frames++) await clock.pass(100, replay);
    expect(shown).toEqual(steps.map(({ entry }) => entry.seq));
    // Every step is at most 0.2 s and a frame after the one before it.
    expect(frames).toBeLessThanOrEqual(steps.length * 3 + 3);
    expect(frames).toBeLessThan(tape.duration / 0.1 / 2);
  });

  test('a damaged block stops it there with the error, and a seek elsewhere goes on', async () => {
    const { bytes } = await recorded({ seed: 5, profile: JSON_PROFILE, perBlock: 7 });
    const source = new SlowSource(bytes);
    const tape = await openRecording(source);
    const { replay, clock } = replayOf(tape);
    const errors: unknown[] = [];
    replay.on('error', (error) => errors.push(error));
    source.isBroken = true;
    replay.play();
    await clock.settled(replay);
    expect([replay.paused, replay.error, errors]).toEqual([true, errors[0], [expect.any(Error)]]);
    source.isBroken = false;
    await replay.seek(tape.duration / 2);
    expect(replay.error).toBeUndefined();
    expect(statesOf(replay)).toEqual(await tape.statesAt(tape.duration / 2));
  });

  test('where not even the first block can be read, a step tells so and is no event', async () => {
    const { bytes } = await recorded({ seed: 5, profile: JSON_PROFILE, perBlock: 7 });
    const source = new SlowSource(bytes);
    const { replay } = replayOf(await openRecording(source));
    const errors: unknown[] = [];
    replay.on('error', (error) => errors.push(error));
    source.isBroken = true;
    expect(await replay.step(1)).toBeUndefined();
    expect([errors, replay.error]).toEqual([[expect.any(Error)], errors[0]]);
    expect(errors[0]).not.toBeInstanceOf(TypeError);
    source.isBroken = false;
    expect(await replay.step(1)).toBeDefined();
  });

  test('refuses what is no time, rate or number of events', async () => {
    const { tape } = await opened({ seed: 1, profile: JSON_PROFILE, perBlock: 40 });
    const { replay } = replayOf(tape);
    expect(() => {
      replay.currentTime = Number.NaN;
    }).toThrow(TypeError);
    for (const rate of [0, -1, 16.1, Number.NaN, '2' as unknown as number]) {
      expect(() => {
        replay.playbackRate = rate;
      }).toThrow(TypeError);
    }
    await expect(replay.step(0.5)).rejects.toThrow(TypeError);
    for (const maxGap of [0, Number.NaN, '2' as unknown as number]) {
      expect(() => {
        replay.maxGap = maxGap;
      }).toThrow(TypeError);
      expect(() => new Replay(tape, { maxGap })).toThrow(TypeError);
    }
  });
});

function replayOf(tape: Tape): { replay: Replay; clock: FrameClock } {
  const clock = new FrameClock();
  return { replay: new Replay(tape, { clock }), clock };
}

function statesOf(replay: Replay): Map<string, State> {
  return new Map(replay.states);
}

/** What is past the end is the last, whatever rounding did to the duration. */
function endOf(replay: Replay, tape: Tape): number {
  return replay.currentTime >= tape.duration ? Number.POSITIVE_INFINITY : replay.currentTime;
}

interface TimedEvent {
  readonly seq: number;
  readonly time: number;
  readonly state: State;
}

/** Somebody with a replay, who knows what it has to show. */
class User {
  readonly replay: Replay;
  readonly #clock: FrameClock;
  readonly #tape: Tape;
  readonly #events: readonly TimedEvent[];
  /** How many events the replay stands behind. */
  #passed = 0;

  constructor(tape: Tape, events: readonly TimedEvent[]) {
    ({ replay: this.replay, clock: this.#clock } = replayOf(tape));
    this.#tape = tape;
    this.#events = events;
    this.replay.on('event', () => this.#passed++);
  }

  async make(move: Move): Promise<void> {
    if (move.do === 'step') return await this.#step(move.events);
    if (move.do === 'seek') await this.#seek(move.to * this.#tape.duration);
    else await this.#play(move);
    const { replay } = this;
    expect(statesOf(replay)).toEqual(await this.#tape.statesAt(endOf(replay, this.#tape)));
  }

  async #seek(time: number): Promise<void> {
    await this.replay.seek(time);
    const next = this.#events.findIndex((event) => event.time > endOf(this.replay, this.#tape));
    this.#passed = next < 0 ? this.#events.length : next;
  }

  async #play({ rate, frames, ms }: { rate: number; frames: number; ms: number }): Promise<void> {
    const { replay } = this;
    replay.playbackRate = rate;
    if (replay.ended) this.#passed = 0;
    replay.play();
    await this.#clock.settled(replay);
    for (let frame = 0; frame < frames && !replay.paused; frame++) await this.#clock.pass(ms, replay);
    expect(replay.ended).toBe(replay.paused);
    replay.pause();
  }

  async #step(events: number): Promise<void> {
    const from = this.#passed;
    const all = this.#events.length;
    const event = await this.replay.step(events);
    // There is nothing before the first event, and nothing after the last.
    this.#passed = Math.min(Math.max(from + events, Math.min(from, 1)), all);
    const isAtEnd = events === 0 || (events < 0 ? from === 0 : from === all);
    const expected = isAtEnd ? undefined : this.#events[this.#passed - 1];
    expect(event?.seq).toBe(expected?.seq);
    if (!event) return;
    expect(event.state).toEqual(expected?.state);
    expect(this.replay.stateOf(event.player) ?? {}).toEqual(expected?.state);
  }
}

async function recorded(session: { seed: number; profile: Profile; perBlock: number }) {
  const { seed, profile, perBlock } = session;
  const { steps, producers } = recordSession({ profile, seed, entries: 120, players: 2 });
  // Imports have times that lie between microseconds.
  const clock = new PlayClock();
  for (const { entry, event } of steps) if (event) clock.observe(entry.time, `player-${entry.producer % 2}`, event);
  const withExact = (entry: TimelineEntry) => ({ ...entry, exact: clock.playTime(entry.time) / 1e6 + 4e-7 });
  const sink = new BytesSink();
  const recordingId = makeRecordingId(1_700_000_000_000, new Uint8Array(10).fill(seed % 256));
  const meta = { recordingId, room: 'r', profile: profile.name, createdAt: 1 };
  const writer = new RecordingWriter(sink, meta, { blockLimits: { entries: perBlock, bytes: 256 * 1024 } });
  for (const producer of producers) writer.addProducer(producer);
  for (const { entry, gap } of steps) {
    if (gap) writer.addGap(gap);
    await writer.add(seed % 2 === 0 ? withExact(entry) : entry);
  }
  await writer.finish();
  return { bytes: sink.bytes(), steps };
}

async function opened(session: { seed: number; profile: Profile; perBlock: number }) {
  const { bytes, steps } = await recorded(session);
  const tape = await openRecording(bytes);
  const events: TimedEvent[] = [];
  for await (const { seq, time, state } of tape.events()) events.push({ seq, time, state });
  return { tape, steps, events };
}

/** Answers when it is told to. */
class SlowSource implements ByteSource {
  readonly name = 'slow';
  readonly #bytes: BytesSource;
  readonly #waiting: (() => void)[] = [];
  isSlow = false;
  isBroken = false;
  reads = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = new BytesSource(bytes);
  }

  size(): Promise<number> {
    return this.#bytes.size();
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.isBroken) throw new Error('the disk is gone');
    if (this.isSlow) {
      this.reads++;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.#bytes.read(offset, length);
  }

  async answerOne(): Promise<void> {
    this.#waiting.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
