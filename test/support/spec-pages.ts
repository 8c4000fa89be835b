/** How many rules each letter of the design has: W1 to W11, and so on. */
const RULES = { W: 11, T: 8, D: 5, J: 7, R: 7, L: 5, S: 4, V: 4 } as const;
/** Looks like a rule and is none: the engine of Node. */
const NOT_A_RULE = 'V8';

export const KNOWN_RULES: readonly string[] = Object.entries(RULES).flatMap(([letter, count]) =>
  Array.from({ length: count }, (_, index) => `${letter}${index + 1}`),
);

/** Everything in a text that has the form of a rule id, each once. */
export function ruleIdsIn(text: string): string[] {
  const ids = text.match(/\b[WTDJRLSV]\d{1,2}\b/g) ?? [];
  return [...new Set(ids)].filter((id) => id !== NOT_A_RULE);
}

/** The rules that a spec page defines: list lines that start with the id. */
export function definedRulesIn(markdown: string): string[] {
  return [...markdown.matchAll(/^- ([WTDJRLSV]\d{1,2}) /gm)].map(([, id = '']) => id);
}

/** The ids that test names start with: `[W2] ...` or `[W2, W3] ...`. */
export function ruleIdsInTestNames(source: string): string[] {
  const prefixes = [...source.matchAll(/['"`]\[([WTDJRLSV]\d{1,2}(?:, ?[WTDJRLSV]\d{1,2})*)\] /g)];
  return prefixes.flatMap(([, ids = '']) => ruleIdsIn(ids));
}

/** The comments of a source file, one after another. */
export function commentsIn(source: string): string {
  return (source.match(/\/\*[\s\S]*?\*\/|(?<=^|[\s;,{}()])\/\/.*$/gm) ?? []).join('\n');
}

/** The rows of the first table under `heading`, without its head; cells are trimmed. Throws if there is none. */
export function tableUnder(markdown: string, heading: string): string[][] {
  const lines = markdown.split('\n');
  const start = lines.indexOf(heading);
  if (start < 0) throw new Error(`There is no heading "${heading}".`);
  const end = lines.findIndex((line, index) => index > start && /^#{1,2} /.test(line));
  const rows = tableRows(lines.slice(start, end < 0 ? undefined : end));
  if (rows.length === 0) throw new Error(`There is no table under "${heading}".`);
  return rows.slice(1);
}

/** Rows anywhere on the page whose first cell is a byte in hexadecimal: `[0x01, 'hello']`. */
export function byteRowsIn(markdown: string): [byte: number, name: string][] {
  return tableRows(markdown.split('\n'))
    .filter(([first = '']) => /^`?0x[0-9a-f]{2}\b/.test(first))
    .map(([first = '', name = '']) => [Number(/0x[0-9a-f]{2}/.exec(first)?.[0]), plain(name)]);
}

/** A cell without the backticks around it. */
export function plain(cell: string): string {
  return /^`([^`]*)`$/.exec(cell)?.[1] ?? cell;
}

/** What `@default` and option tables write: `120_000`, `120,000`, `'binary'`, `true`; anything else stays a string. */
export function readValue(text: string): unknown {
  const bare = plain(text.trim());
  if (/^-?\d[\d_,]*(\.\d+)?$/.test(bare)) return Number(bare.replace(/[_,]/g, ''));
  if (bare === 'true' || bare === 'false') return bare === 'true';
  if (bare === 'undefined') return undefined;
  return /^(['"])(.*)\1$/.exec(bare)?.[2] ?? bare;
}

/** The `@default` of each property of the interfaces in a source file, as pairs of its name and value. */
export function defaultTagsIn(source: string): [name: string, value: unknown][] {
  const documented = /\/\*\*((?:(?!\*\/)[\s\S])*?)\*\/\s*(?:readonly\s+)?(\w+)\??:/g;
  return [...source.matchAll(documented)].flatMap(([, comment = '', name = '']): [string, unknown][] => {
    const tag = /@default\s+([^\n*]+)/.exec(comment)?.[1];
    return tag === undefined ? [] : [[name, readValue(tag)]];
  });
}

function tableRows(lines: readonly string[]): string[][] {
  return lines
    .filter((line) => line.startsWith('|') && !/^\|[\s:|-]+$/.test(line))
    .map((line) =>
      line
        .trim()
        .slice(1, -1)
        .split(/(?<!\\)\|/),
    )
    .map((cells) => cells.map((cell) => cell.trim().replaceAll('\\|', '|')));
}
