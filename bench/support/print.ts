/** Figures go to stdout, one row a line. */
export function printLine(text = ''): void {
  process.stdout.write(`${text}\n`);
}

/** Something was left out: it must not look as if it had been measured. */
export function warn(text: string): void {
  process.stderr.write(`SKIPPED: ${text}\n`);
}

/** Rows under a title, columns aligned: the first to the left, the others to the right. */
export function printTable(title: string, rows: readonly (readonly string[])[]): void {
  printLine();
  printLine(title);
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  for (const row of rows) {
    const cells = row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)));
    printLine(`  ${cells.join('  ').trimEnd()}`);
  }
}

/** About three significant digits, or all whole ones: `0.823`, `12.3`, `26,078`. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  if (size > 0 && size < 0.01) return value.toPrecision(2);
  const decimals = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** Ours divided by the peer's, as the goals are written. */
export function ratio(ours: number, peer: number): string {
  return `${number(ours / peer)}x`;
}

/** Whether a goal is met. A miss is said as plainly as a hit. */
export function verdict(value: number, goal: { readonly atMost: number } | { readonly atLeast: number }): string {
  const [bound, isMet] =
    'atMost' in goal
      ? [`<= ${number(goal.atMost)}`, value <= goal.atMost]
      : [`>= ${number(goal.atLeast)}`, value >= goal.atLeast];
  return `goal ${bound}: ${isMet ? 'met' : 'MISSED'}`;
}
