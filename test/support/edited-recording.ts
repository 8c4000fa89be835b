import { openRecording } from '@gametape/client-sdk';
import {
  BytesSink,
  BytesSource,
  JSON_PROFILE,
  type JsonObject,
  LMSP_PROFILE,
  makeRecordingId,
  type Profile,
  RecordingReader,
  RecordingWriter,
  type State,
} from '@gametape/shared';
import fc from 'fast-check';
import { expect } from 'vitest';
import { verifyRecording } from '../../server/dist/recording/verify.js';
import { type RecordedSession, recordSession, type SessionOptions } from './recorded-session.ts';

/** Any session that `recordSession` makes. */
export const anySession: fc.Arbitrary<SessionOptions> = fc.record({
  profile: fc.constantFrom<Profile>(JSON_PROFILE, LMSP_PROFILE),
  seed: fc.integer(),
  entries: fc.nat({ max: 250 }),
  players: fc.integer({ min: 1, max: 4 }),
});

export function newId(number = 9): string {
  return makeRecordingId(1_700_000_000_000, new Uint8Array(10).fill(number));
}

/** A recorded session as a finished file. */
export async function sessionBytes(options: SessionOptions, id = newId(1)): Promise<Uint8Array> {
  const session = recordSession(options);
  const sink = new BytesSink();
  const meta = { recordingId: id, room: 'room', profile: options.profile.name, createdAt: 1_700_000_000.25 };
  const writer = new RecordingWriter(sink, meta);
  for (const producer of session.producers) writer.addProducer(producer);
  for (const { entry, gap, checkpoint } of session.steps) {
    if (gap) writer.addGap(gap);
    await writer.add(entry);
    if (checkpoint) writer.addCheckpoint(checkpoint, entry);
  }
  await writer.finish({ outcome: { success: true, final_time: 12.5 }, expected: expectedOf(session) });
  return sink.bytes();
}

/** All that is missing is in the gaps, but for two last events of the second player, and nobody knows of the third. */
function expectedOf({ producers, steps }: RecordedSession): Map<string, number | null> {
  const expected = new Map<string, number | null>(producers.map(({ player }) => [player, 0]));
  for (const { entry, gap } of steps) {
    const player = producers[entry.producer]?.player as string;
    const lost = gap ? gap.lastPseq - gap.firstPseq + 1 : 0;
    expected.set(player, Number(expected.get(player)) + lost + (entry.stamp === null ? 0 : 1));
  }
  if (expected.has('player-1')) expected.set('player-1', Number(expected.get('player-1')) + 2);
  if (expected.has('player-2')) expected.set('player-2', null);
  return expected;
}

export async function open(bytes: Uint8Array): Promise<RecordingReader> {
  return RecordingReader.open(new BytesSource(bytes));
}

/** What one entry of a recording says, and the player's state after it. */
export interface SeenStep {
  readonly seq: number;
  readonly pseq: number;
  readonly player: string;
  readonly stamp: number | null;
  readonly hlc: number;
  /** Play time in seconds. */
  readonly shown: number;
  readonly type: string | undefined;
  readonly data: JsonObject | undefined;
  readonly state: State;
}

/** Everything that happens in a recording, from its first entry to its last. */
export async function stepsOf(bytes: Uint8Array): Promise<SeenStep[]> {
  const reader = await open(bytes);
  const clock = reader.playClock();
  const steps: SeenStep[] = [];
  for await (const { entry, body, context } of reader.steps()) {
    const { seq, pseq, stamp, hlc, time, exact } = entry;
    steps.push({
      seq,
      pseq,
      player: context.player,
      stamp,
      hlc,
      shown: exact ?? clock.playTime(time) / 1e6,
      type: body.event?.type,
      data: body.event?.data,
      state: context.state.toJson(),
    });
  }
  return steps;
}

export async function statesAt(bytes: Uint8Array, time: number): Promise<Record<string, State>> {
  const tape = await openRecording(bytes);
  return Object.fromEntries(await tape.statesAt(time));
}

/** Fails unless nothing is wrong with the file. */
export async function expectIntact(bytes: Uint8Array): Promise<void> {
  const { problems, intact } = await verifyRecording(new BytesSource(bytes));
  expect({ problems, intact }).toEqual({ problems: [], intact: true });
}
