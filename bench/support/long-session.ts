import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generatedTrace } from './generated-trace.ts';
import { ROOT } from './machine.ts';
import { loadTrace, type Random, seededRandom, type Trace, type TraceEdit } from './private-parts.ts';
import { typeOffline } from './trace-session.ts';

export const PLAYERS = 8;
/** Of each player: at a typist's median pause of 150 ms (mean 199 ms), an hour. */
export const HOUR_OF_EDITS = 18_000;
/** Real texts that grow to 10 to 30 KB. */
const TEXTS = ['friendsforever_flat.json.gz', 'clownschool_flat.json.gz'] as const;
/** What decides which bytes a recording has: the built code, this file's included. */
const CODE = ['shared/dist', 'client-sdk/dist', 'server/dist', 'bench/dist/support'] as const;

/**
 * A recording of eight players who each type about five edits a second, an hour of it if not told otherwise, as a path. Real
 * texts where they are there. Kept in the temporary directory for as long as the code stays the same.
 */
export async function longSession(editsPerPlayer = HOUR_OF_EDITS): Promise<string> {
  const texts = realTexts();
  const directory = join(tmpdir(), 'gametape-bench-sessions');
  const path = join(directory, `${await contentKey(texts, editsPerPlayer)}.lmsp`);
  if (existsSync(path)) return path;
  const room = await typeOffline(await longTypists(editsPerPlayer));
  await mkdir(directory, { recursive: true });
  // Another bench may be making the same: whoever is last replaces it by its equal.
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, await room.toBytes());
  await rename(temporary, path);
  return path;
}

/** The players of such a session. With `skip`, they have made so many of their edits already, and make the rest. */
export async function longTypists(editsPerPlayer: number, skip = 0): Promise<{ name: string; trace: Trace }[]> {
  const traces = await Promise.all(realTexts().map(loadTrace));
  return Array.from({ length: PLAYERS }, (_, index) => {
    const trace = traceOf(index, traces, editsPerPlayer);
    const rest = { ...trace, startContent: textAfter(trace, skip), edits: trace.edits.slice(skip) };
    return { name: `player-${index}`, trace: rest };
  });
}

function realTexts(): string[] {
  return TEXTS.map((name) => join(ROOT, '..', 'shared', 'data', name)).filter((path) => existsSync(path));
}

/** A part of a real text that no other player types: letters are exchanged, or players would compress each other. */
function traceOf(player: number, traces: readonly Trace[], edits: number): Trace {
  const trace = traces[player % traces.length];
  if (!trace) return generatedTrace(player + 1, edits);
  const turn = Math.floor(player / traces.length);
  const turns = Math.ceil(PLAYERS / traces.length);
  const spare = Math.max(0, trace.edits.length - edits);
  const from = Math.floor((spare * turn) / Math.max(1, turns - 1));
  const letters = exchangedLetters(seededRandom(player + 1));
  const exchange = (text: string) => text.replace(/[a-z]/g, (letter) => letters.get(letter) ?? letter);
  const startContent = exchange(textAfter(trace, from));
  const part = trace.edits.slice(from, from + edits);
  const typed = part.map((edit): TraceEdit => ({ ...edit, insert: exchange(edit.insert), timeMs: 0 }));
  return { path: trace.path, startContent, endContent: undefined, edits: typed };
}

function textAfter({ startContent, edits }: Trace, count: number): string {
  const text = [...startContent];
  for (const { at, remove, insert } of edits.slice(0, count)) text.splice(at, remove, ...insert);
  return text.join('');
}

function exchangedLetters(random: Random): ReadonlyMap<string, string> {
  const alphabet = [...'abcdefghijklmnopqrstuvwxyz'];
  const shuffled = alphabet.map((letter) => ({ letter, at: random() })).sort((a, b) => a.at - b.at);
  return new Map(alphabet.map((letter, index) => [letter, shuffled[index]?.letter ?? letter]));
}

async function contentKey(texts: readonly string[], edits: number): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify({ edits, PLAYERS }));
  for (const text of texts) hash.update(await readFile(text));
  for (const directory of CODE) {
    const files = await readdir(join(ROOT, directory), { recursive: true });
    for (const file of files.filter((name) => name.endsWith('.js')).sort())
      hash.update(file).update(await readFile(join(ROOT, directory, file)));
  }
  return hash.digest('hex').slice(0, 32);
}
