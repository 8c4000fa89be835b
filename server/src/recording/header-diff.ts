import { type Json, type JsonObject, jsonEqual, type RecordingReader } from '@gametape/shared';
import { type DifferenceList, valueDifference } from './diff-report.ts';
import { type DiffRules, own } from './diff-rules.ts';

const MICROSECONDS = 1_000_000;
/** Of the seed's top level: what is identity and not content, and what is compared under another name. */
const NOT_EXTRA = new Set([
  ...['recording_id', 'created_at', 'room', 'profile', 'complete', 'players', 'checkpoints', 'duration', 'events'],
]);
type Seen = readonly [players: ReadonlySet<string>, ofTheOther: ReadonlySet<string>];

/** Facts that are times. */
const TIMES = new Set(['duration', 'final_time']);

/**
 * Compares what the recordings say of themselves: room, profile, players, completeness, length, names of checkpoints, and
 * how it ended. Ids and the time of creation tell recordings apart, not what they hold: they are not compared.
 *
 * @param seen players with events in a and in b
 * @param moved names of checkpoints at one of two events that belong together
 */
export function diffHeaders(
  [a, b]: readonly [RecordingReader, RecordingReader],
  {
    rules,
    differences,
    seen,
    moved,
  }: {
    rules: DiffRules;
    differences: DifferenceList;
    seen: Seen;
    moved: ReadonlySet<string>;
  },
): void {
  const facts = [factsOf(a, seen), factsOf(b, [seen[1], seen[0]])] as const;
  const known = comparable(a, b, facts);
  for (const fact of known) {
    const [valueA, valueB] = [own(facts[0], fact), own(facts[1], fact)];
    if (rules.isIgnored(fact) || isEqual(fact, valueA, valueB, rules)) continue;
    differences.add(() => ({ kind: 'header', ...valueDifference(fact, valueA, valueB) }));
  }
  // An unfinished recording does not know yet which event a checkpoint is.
  if (!a.summary || !b.summary) return;
  for (const name of moved) {
    const [placeA, placeB] = [checkpointOf(a, name), checkpointOf(b, name)];
    if (!placeA || !placeB || rules.isIgnored(`checkpoint ${name}`)) continue;
    differences.add(() => ({ kind: 'header', ...valueDifference(`checkpoint ${name}`, placeA, placeB) }));
  }
}

function checkpointOf(reader: RecordingReader, name: string): JsonObject | undefined {
  const found = reader.checkpoints.find((checkpoint) => checkpoint.name === name);
  return found && { event: found.eventIndex, timeS: reader.playClock().playTime(found.time) / MICROSECONDS };
}

function isEqual(fact: string, a: Json | undefined, b: Json | undefined, rules: DiffRules): boolean {
  if (TIMES.has(fact) && typeof a === 'number' && typeof b === 'number') return rules.sameTime(a, b);
  return jsonEqual(a, b);
}

function factsOf(reader: RecordingReader, [seen, seenByOther]: Seen): JsonObject {
  const { meta, summary, checkpoints } = reader;
  const players = (summary?.players ?? []).filter(({ id }) => seen.has(id) && seenByOther.has(id));
  return {
    room: meta.room,
    profile: meta.profile,
    players: [...seen].sort(),
    complete: summary?.complete ?? false,
    ...(summary && { duration: summary.durationUs / MICROSECONDS }),
    checkpoints: [...new Set(checkpoints.map(({ name }) => name))].sort(),
    ...Object.fromEntries(
      players.map(({ id, expected, received, gaps }) => {
        // What was received is numbered differently by an import; what is missing is not.
        const missing = expected === null ? null : expected - received;
        return [`missing of ${id}`, { events: missing, gaps: gaps.map(([first, last]) => [first, last]) }];
      }),
    ),
    ...extraFacts(reader),
  };
}

/** How it ended, and the seed's top level where the recording came with one. */
function extraFacts({ meta, summary }: RecordingReader): JsonObject {
  const extra = Object.entries({ ...meta.lmsp, ...summary?.outcome });
  return Object.fromEntries(extra.filter(([name]) => !NOT_EXTRA.has(name)));
}

/** What one of them cannot say is no difference: the end of an unfinished one, the seed's fields of one that never had them. */
function comparable(
  a: RecordingReader,
  b: RecordingReader,
  [factsA, factsB]: readonly [JsonObject, JsonObject],
): Set<string> {
  const areAlike = (a.meta.lmsp === undefined) === (b.meta.lmsp === undefined) && !!a.summary === !!b.summary;
  const [namesA, namesB] = [new Set(Object.keys(factsA)), new Set(Object.keys(factsB))];
  return areAlike ? new Set([...namesA, ...namesB]) : new Set([...namesA].filter((name) => namesB.has(name)));
}
