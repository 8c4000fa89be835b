import { isDeepStrictEqual } from 'node:util';
import { verifyRecording } from '@gametape/server';
import { BytesSource, RecordingReader } from '@gametape/shared';
import { type CheckedCounts, newCounts, PlayerCheck, type PlayerLog } from './player-check.ts';

/** A player that was gone for good after these messages were accepted. */
export interface VanishedPlayer {
  readonly id: string;
  readonly said: readonly string[];
}

export interface RoomLog {
  readonly players: readonly PlayerLog[];
  readonly vanished?: VanishedPlayer | undefined;
}

export interface RoomVerdict {
  /** What is wrong, each in a few words; empty when nothing is. */
  readonly problems: readonly string[];
  /** Over all players. */
  readonly counts: CheckedCounts;
}

/** Reads a finished recording from end to end and compares it with what its players say. */
export async function checkRoom(bytes: Uint8Array, { players, vanished }: RoomLog): Promise<RoomVerdict> {
  const problems: string[] = [];
  const report = await verifyRecording(new BytesSource(bytes));
  problems.push(...report.problems.map((problem) => `verify: ${JSON.stringify(problem)}`));
  const reader = await RecordingReader.open(new BytesSource(bytes));
  const checks = new Map(players.map((log) => [log.id, new PlayerCheck(log)]));
  const states = new Map<string, { toJson(): unknown }>();
  const heard: unknown[] = [];
  for await (const { entry, body, context } of reader.steps()) {
    states.set(context.player, context.state);
    // The relay's own events have no stamp.
    if (entry.stamp === null || !body.event) continue;
    const check = checks.get(context.player);
    if (check) check.take(body.event.data);
    else if (context.player === vanished?.id) heard.push(body.event.data.message);
    else problems.push(`an event of ${context.player}, whom nobody knows`);
  }
  const counts = newCounts();
  for (const [id, check] of checks) {
    problems.push(...check.finish(states.get(id)?.toJson()).map((problem) => `${id}: ${problem}`));
    for (const name of Object.keys(counts) as (keyof CheckedCounts)[]) counts[name] += check.counts[name];
  }
  if (vanished && !isDeepStrictEqual(heard, vanished.said)) {
    problems.push(`${vanished.id}: ${heard.length} of ${vanished.said.length} accepted events`);
  }
  problems.push(...summaryProblems(reader.summary, { players, vanished }));
  return { problems, counts };
}

/** The summary has every player with all of its events, and says that it is complete unless somebody has vanished. */
function summaryProblems(summary: RecordingReader['summary'], { players, vanished }: RoomLog): string[] {
  if (!summary) return ['no summary: the recording is not finished'];
  const expected = players.map(({ id, typed }) => [id, typed.length, typed.length, []]);
  // Nobody knows what else a player had that never came back.
  if (vanished) expected.push([vanished.id, null as never, vanished.said.length, []]);
  const found = summary.players.map(({ id, expected, received, gaps }) => [id, expected, received, gaps]);
  const problems: string[] = [];
  if (!isDeepStrictEqual(sorted(found), sorted(expected))) {
    problems.push(`summary: ${JSON.stringify(sorted(found))} instead of ${JSON.stringify(sorted(expected))}`);
  }
  if (summary.complete !== (vanished === undefined)) problems.push(`summary: complete is ${summary.complete}`);
  return problems;
}

function sorted(rows: readonly (readonly unknown[])[]): unknown[] {
  return [...rows].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
}
