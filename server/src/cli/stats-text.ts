import type { PlayerStats } from '../recording/player-stats.ts';
import type { FileStats } from './stats.ts';
import { formatCount, formatTime, plainText, sparkline, tableLines } from './table.ts';
import { paintData } from './terminal.ts';

const MAX_PLAYERS = 12;
const MAX_TYPES = 12;
const MAX_CHECKPOINTS = 6;
const SPARKLINE_WIDTH = 24;

/** What was counted, on one screen. Curves are drawn on a terminal only. */
export function* statsLines(stats: FileStats): Generator<string> {
  yield* headLines(stats);
  yield '';
  yield* playerLines(stats);
  yield* typingLines(stats);
  yield* testLines(stats);
  yield* typeLines(stats);
  yield* checkpointLines(stats);
}

function* headLines(stats: FileStats): Generator<string> {
  const { asked, pauses, events, stateChanges, size, bytesPerEvent } = stats;
  const state = stats.complete ? 'complete' : stats.finished ? 'incomplete: events are missing' : 'never finished';
  yield `${paintData('bold', stats.recordingId)}  room ${plainText(stats.room)}, profile ${plainText(stats.profile)}, ${state}`;
  const paused = `${pauses.count} ${pauses.count === 1 ? 'pause' : 'pauses'} of ${formatTime(pauses.totalS)} not counted`;
  yield `length   ${formatTime(stats.durationS)}${pauses.count > 0 ? `, ${paused}` : ''}`;
  if (!size) yield `part     ${describePart(asked)}`;
  const alone = stateChanges > 0 ? `, and ${formatCount(stateChanges)} changes of state alone` : '';
  const each = bytesPerEvent === null ? '' : `, ${bytesPerEvent.toFixed(2)} bytes each`;
  yield `events   ${formatCount(events)}${alone}${each}`;
  if (size) yield `bytes    ${describeSize(stats, size)}`;
}

function describePart({ from, to, player }: FileStats['asked']): string {
  const who = player === null ? 'all players' : `player ${plainText(player)}`;
  const end = to === null ? 'the end' : `${to} s`;
  return from === null && to === null ? who : `${who}, from ${from ?? 0} s to ${end}`;
}

function describeSize({ format, bytes }: FileStats, size: NonNullable<FileStats['size']>): string {
  const file =
    format === 'lmsp' ? formatCount(bytes) : `${formatCount(bytes)} as ${format}, ${formatCount(size.bytes)} as lmsp`;
  const parts = `${formatCount(size.blocks)} blocks ${formatCount(size.blockBytes)}, index ${formatCount(size.indexBytes)}`;
  if (size.compressionRatio === null || size.rawBytes === 0) return `${file}: ${parts}`;
  const keyframes = Math.round((size.rawKeyframeBytes / size.rawBytes) * 100);
  const raw = `${formatCount(size.rawBytes)} before compression (${size.compressionRatio.toFixed(1)} to 1, ${keyframes} % keyframes)`;
  return `${file}: ${parts}; ${raw}`;
}

function* playerLines({ players }: FileStats): Generator<string> {
  const rows = shown(players).map((player) => [
    plainText(player.id),
    formatCount(player.events),
    formatTime(player.activeS),
    formatTime(player.idleS),
    rate(player.activeS > 0 ? (player.events * 60) / player.activeS : null),
    formatCount(player.messages),
    player.pauses > 0 ? formatCount(player.pauses) : '',
    curve(player.activity.events),
  ]);
  const titles = ['events', 'active', 'idle', 'a minute', 'messages', 'pauses'];
  yield* table('player', titles, 'over time', rows);
  if (players.length > MAX_PLAYERS) yield `and ${formatCount(players.length - MAX_PLAYERS)} more players`;
}

function* typingLines({ players }: FileStats): Generator<string> {
  const rows = shown(players).flatMap(({ id, typing }) => {
    if (!typing) return [];
    const { characters, charactersPerMinute, wordsPerMinute, pasted, deletionsPerKeystroke, intervals, bursts } =
      typing;
    return [
      [
        plainText(id),
        formatCount(characters),
        rate(charactersPerMinute),
        rate(wordsPerMinute),
        intervals.medianS === null ? '-' : `${intervals.medianS.toFixed(3)} s`,
        `${(deletionsPerKeystroke * 100).toFixed(1)} %`,
        pasted > 0 ? formatCount(pasted) : '',
        formatCount(bursts.count),
        `${formatCount(bursts.longestKeystrokes)} keys`,
      ],
    ];
  });
  if (rows.length === 0) return;
  const titles = ['characters', 'a minute', 'words/min', 'median gap', 'deletions', 'pasted', 'bursts', 'longest'];
  yield '';
  yield* table('typing', titles, '', rows);
}

function* testLines({ players, tests }: FileStats): Generator<string> {
  const rows = shown(players).flatMap(({ id, tests: own }) => {
    if (!own) return [];
    const points = tests.points.filter((point) => point.player === id).map(({ passing }) => passing);
    const top = Math.max(own.best ?? 0, own.total ?? 0);
    return [
      [
        plainText(id),
        own.passing === null ? '-' : `${own.passing}${own.total === null ? '' : ` of ${own.total}`}`,
        own.best === null ? '-' : String(own.best),
        formatCount(own.runs),
        formatCount(own.passes),
        formatCount(own.fails),
        curve(points, top),
      ],
    ];
  });
  if (rows.length === 0) return;
  yield '';
  yield* table('tests', ['passing', 'best', 'runs', 'passed', 'failed'], 'over time', rows);
}

function* typeLines({ types, players }: FileStats): Generator<string> {
  const all = Object.entries(types);
  if (all.length === 0) return;
  const columns = shown(players);
  const rows = all
    .slice(0, MAX_TYPES)
    .map(([type, count]) => [
      plainText(type),
      formatCount(count),
      ...columns.map(({ types: own }) => formatCount(Object.hasOwn(own, type) ? (own[type] ?? 0) : 0)),
    ]);
  yield '';
  const isWide = columns.length < 2 || columns.length > 6;
  const titles = ['events', ...(isWide ? [] : columns.map(({ id }) => plainText(id, 16)))];
  yield* table('type', titles, '', isWide ? rows.map((row) => row.slice(0, 2)) : rows);
  if (all.length > MAX_TYPES) yield `and ${formatCount(all.length - MAX_TYPES)} more types`;
}

function* checkpointLines({ checkpoints }: FileStats): Generator<string> {
  if (checkpoints.length === 0) return;
  const names = checkpoints
    .slice(0, MAX_CHECKPOINTS)
    .map(({ name, timeS }) => `${plainText(name)} ${formatTime(timeS)}`);
  const more = checkpoints.length - MAX_CHECKPOINTS;
  yield '';
  yield `checkpoints  ${formatCount(checkpoints.length)}: ${names.join(', ')}${more > 0 ? `, and ${formatCount(more)} more` : ''}`;
}

function* table(name: string, titles: readonly string[], last: string, rows: readonly string[][]): Generator<string> {
  const columns = [
    { title: name, align: 'left' as const },
    ...titles.map((title) => ({ title })),
    { title: last, align: 'left' as const },
  ];
  const [head = '', ...lines] = tableLines(columns, rows);
  yield paintData('bold', head);
  yield* lines;
}

function shown(players: readonly PlayerStats[]): readonly PlayerStats[] {
  return players.slice(0, MAX_PLAYERS);
}

function rate(value: number | null): string {
  return value === null ? '-' : formatCount(Math.round(value));
}

function curve(values: readonly number[], max?: number): string {
  if (process.stdout.isTTY !== true) return '';
  return sparkline(values, { width: SPARKLINE_WIDTH, ...(max !== undefined && { max }) });
}
