import type { Difference, EventPlace, ValueDifference } from '../recording/diff-report.ts';
import type { RecordingDiff } from '../recording/recording-diff.ts';
import { formatCount, plainText } from './table.ts';
import { paintData } from './terminal.ts';

const MAX_VALUES = 6;
const MAX_DATA = 80;

/** Which file was compared. */
export interface DiffedFile {
  readonly file: string;
  readonly format: string;
  readonly recordingId: string;
  readonly room: string;
  readonly events: number;
  readonly finished: boolean;
  readonly complete: boolean;
}

export interface FileDiff extends RecordingDiff {
  readonly a: DiffedFile;
  readonly b: DiffedFile;
}

export function* diffLines(diff: FileDiff): Generator<string> {
  const { differences, differenceCount, events, states } = diff;
  if (!diff.equal) {
    yield `${paintData('red', 'a')}  ${describe(diff.a)}`;
    yield `${paintData('green', 'b')}  ${describe(diff.b)}`;
    yield '';
    const headers = differences.filter((difference) => difference.kind === 'header');
    if (headers.length > 0) yield paintData('bold', 'header');
    yield* valueLines(headers, Number.POSITIVE_INFINITY);
    for (const difference of differences) yield* differenceLines(difference);
    const more = differenceCount - differences.length;
    if (more > 0) yield `and ${formatCount(more)} more: list them with --limit ${differenceCount}`;
    if (differences.length > 0 || more > 0) yield '';
  }
  const compared = [
    `${formatCount(events.equal)} events equal`,
    ...counted(events.changed, 'changed'),
    ...counted(events.retimed, 'at other times'),
    ...counted(events.removed, 'only in a'),
    ...counted(events.added, 'only in b'),
    `${formatCount(states.compared)} states compared`,
    ...counted(states.different, 'of them different'),
    ...counted(events.order, 'events in another order among players'),
  ];
  const verdict = diff.equal
    ? paintData('green', 'equal')
    : paintData('red', `${formatCount(differenceCount)} ${differenceCount === 1 ? 'difference' : 'differences'}`);
  yield `${verdict}: ${compared.join(', ')}`;
}

function describe({ file, format, room, events, finished, complete }: DiffedFile): string {
  const state = complete ? 'complete' : finished ? 'incomplete' : 'never finished';
  return `${plainText(file, 200)}  ${format}, room ${plainText(room)}, ${formatCount(events)} events, ${state}`;
}

function counted(count: number, what: string): string[] {
  return count > 0 ? [`${formatCount(count)} ${what}`] : [];
}

function* differenceLines(difference: Difference): Generator<string> {
  switch (difference.kind) {
    case 'header':
      break;
    case 'removed':
    case 'added': {
      const { event, events, untilS } = difference;
      const [sign, side] =
        difference.kind === 'removed' ? [paintData('red', '-'), 'a'] : [paintData('green', '+'), 'b'];
      const more = events > 1 ? `, and ${formatCount(events - 1)} more up to ${untilS.toFixed(3)} s` : '';
      yield `${head(difference.player, event)} is only in ${side}${more}`;
      yield `    ${sign} ${plainText(JSON.stringify(event.data), MAX_DATA)}`;
      break;
    }
    case 'changed': {
      const { a, b, player } = difference;
      const type = a.type === b.type ? '' : `, type ${plainText(a.type)} became ${plainText(b.type)}`;
      const time = a.timeS === b.timeS ? '' : `, ${shift(b.timeS - a.timeS)}`;
      yield `${head(player, a)} changed${type}${time}`;
      yield* valueLines(difference.fields);
      break;
    }
    case 'time': {
      const { a, b, player, events, minS, maxS } = difference;
      const range = seconds(minS) === seconds(maxS) ? '' : ` by ${seconds(minS)} to ${seconds(maxS)}`;
      const more = events > 1 ? `, and ${formatCount(events - 1)} more${range}` : '';
      yield `${head(player, a)} is ${shift(b.timeS - a.timeS)}${more}`;
      break;
    }
    case 'state': {
      const { player, a, keys, until } = difference;
      const end = until === null ? 'to the end' : `until event ${until.index} at ${until.timeS.toFixed(3)} s`;
      yield `${head(player, a)}: the state differs ${end}`;
      yield* valueLines(keys);
      break;
    }
    case 'final':
      yield `${paintData('bold', plainText(difference.player))}  the last state differs`;
      yield* valueLines(difference.keys);
      break;
    case 'order':
      yield `${formatCount(difference.events)} events come in another order among players`;
      break;
  }
}

function head(player: string, { index, timeS, type }: EventPlace): string {
  return `${paintData('bold', plainText(player))}  ${timeS.toFixed(3)} s  event ${index} ${paintData('cyan', plainText(type))}`;
}

function* valueLines(values: readonly ValueDifference[], max = MAX_VALUES): Generator<string> {
  for (const { key, a, b, at } of values.slice(0, max)) {
    const where = at === undefined || at === 0 ? '' : ` from character ${at}`;
    yield `    ${plainText(key, 64)}${where}`;
    yield `      ${paintData('red', '-')} ${a === null ? '(none)' : plainText(a, 200)}`;
    yield `      ${paintData('green', '+')} ${b === null ? '(none)' : plainText(b, 200)}`;
  }
  if (values.length > max) yield `    and ${values.length - max} more keys`;
}

function shift(by: number): string {
  return `${seconds(Math.abs(by))} ${by < 0 ? 'earlier' : 'later'} in b`;
}

function seconds(value: number): string {
  return `${Number(value.toFixed(6))} s`;
}
