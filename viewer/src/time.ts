/** Seconds as `0:12`, `3:05` or `1:02:03`; parts of a second are cut off. */
export function formatTime(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(rest)}` : `${minutes}:${pad(rest)}`;
}

/** Seconds from `123`, `12.5`, `2:03` or `1:02:03`; undefined for anything else. */
export function parseTime(text: string): number | undefined {
  const match = /^(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,9}(?:\.\d{1,9})?)$/.exec(text.trim());
  if (!match) return undefined;
  const [, hours = '0', minutes = '0', seconds = '0'] = match;
  return Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
}

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export function formatDate(date: Date): string {
  return Number.isNaN(date.getTime()) ? 'at an unknown time' : dates.format(date);
}

function pad(part: number): string {
  return String(part).padStart(2, '0');
}
