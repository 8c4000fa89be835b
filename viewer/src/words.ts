import type { Json, JsonObject, PlayerSummary } from '@gametape/shared';

/** Longest description of an event's data, in characters. */
const MAX_DETAIL = 80;

/** `1 event`, `3 events`, `12,345 events`. */
export function count(amount: number, noun: string): string {
  return `${amount.toLocaleString()} ${noun}${amount === 1 ? '' : 's'}`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1_024) return count(bytes, 'byte');
  const kib = bytes / 1_024;
  return kib < 1_024 ? `${kib.toFixed(kib < 10 ? 1 : 0)} KiB` : `${(kib / 1_024).toFixed(1)} MiB`;
}

/** Names in one phrase: `ann`, `ann and bob`, `ann, bob and 3 more`. */
export function formatNames(names: readonly string[], most = 4): string {
  if (names.length === 0) return 'nobody';
  const shown = names.length > most ? names.slice(0, most - 1) : names.slice(0, -1);
  const last = names.length > most ? `${names.length - shown.length} more` : (names.at(-1) ?? '');
  return shown.length === 0 ? last : `${shown.join(', ')} and ${last}`;
}

/** What a recording says about its own completeness (W6). */
export function describeCompleteness(complete: boolean, players: readonly PlayerSummary[]): string {
  if (complete) return 'complete';
  const gaps = players.filter((player) => countMissing(player) > 0);
  if (gaps.length === 0) return 'not finished: what is missing is not known';
  return gaps.map((player) => describeGap(player.id, countMissing(player))).join(', ');
}

/** How many events of a player are known to be missing. */
export function countMissing({ expected, received, gaps }: PlayerSummary): number {
  const listed = gaps.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  return Math.max(listed, (expected ?? received) - received);
}

function describeGap(player: string, missing: number): string {
  return `${count(missing, 'event')} of ${player} ${missing === 1 ? 'is' : 'are'} missing`;
}

/** The data of an event on one line. */
export function describeData(data: JsonObject): string {
  const text = Object.values(data).map(describeValue).filter(Boolean).join(' · ');
  return text.length > MAX_DETAIL ? `${text.slice(0, MAX_DETAIL)}…` : text;
}

function describeValue(value: Json): string {
  if (typeof value === 'string') return value.length === 1 || value.trim() === '' ? showBlank(value) : value;
  if (value === null || (typeof value === 'object' && Object.keys(value).length === 0)) return '';
  return JSON.stringify(value);
}

function showBlank(text: string): string {
  return text.replaceAll(' ', '␣').replaceAll('\n', '⏎').replaceAll('\t', '⇥');
}
