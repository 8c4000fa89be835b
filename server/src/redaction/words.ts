import type { Profile } from '@gametape/shared';
import type { TextMatcher } from './text-matcher.ts';

/** What a name must at least have to be looked for inside of other text: shorter ones are everywhere. */
export const MIN_NAME_LENGTH = 3;
const FILLERS = ['█', '▒', '*', '#'];
const ID_FILLERS = ['x', '0', '-', 'q'];
const KEY_STARTS = ['redacted-', 'key-', 'q', '█'];

export interface WordsOptions {
  readonly profile: Profile;
  /** Everything that has to go from a text, names included. */
  readonly matcher: TextMatcher;
  /** What the player is called; empty where the name may stay. */
  readonly names: ReadonlySet<string>;
  /** What it is called instead. */
  readonly replacement: string;
  /** Ids of all players: nobody else may come to be called one of these. */
  readonly players: ReadonlySet<string>;
}

/** What becomes of texts, names and keys: the same for the same, wherever it stands. */
export class Words {
  readonly #matcher: TextMatcher;
  readonly #names: ReadonlySet<string>;
  readonly #replacement: string;
  readonly #filler: string;
  readonly #idFiller: string;
  /** Words of the profile are in no file, and mean something. */
  readonly #known: ReadonlySet<string>;
  readonly #players: ReadonlySet<string>;
  readonly #keys = new Map<string, string>();
  readonly #ids = new Map<string, string>();
  #keyNumber = 0;

  constructor({ profile, matcher, names, replacement, players }: WordsOptions) {
    this.#players = players;
    this.#matcher = matcher;
    this.#names = names;
    this.#replacement = replacement;
    this.#filler = FILLERS.find((filler) => !matcher.has(filler)) ?? '█';
    this.#idFiller = ID_FILLERS.find((filler) => !matcher.has(filler.repeat(64))) ?? 'x';
    const templates = profile.templates.flatMap(({ type, keys }) => [type, ...keys]);
    this.#known = new Set([...profile.names, ...templates, ...(profile.eventTypes ?? [])]);
  }

  /** A text in which what `isMarked` says is blotted out, unit by unit; white space stays, so that lines stay. */
  blot(text: string, isMarked: (at: number) => boolean): string {
    let blotted = '';
    let kept = 0;
    for (let at = 0; at < text.length; at++) {
      if (!isMarked(at) || /\s/.test(text[at] as string)) continue;
      blotted += text.slice(kept, at) + this.#filler;
      kept = at + 1;
    }
    return blotted + text.slice(kept);
  }

  blotAll(text: string): string {
    return this.blot(text, () => true);
  }

  /** As long as it was. */
  text(text: string): string {
    const ranges = this.#matcher.ranges(text);
    if (ranges.length === 0) return text;
    return this.blot(text, (at) => ranges.some(([from, to]) => at >= from && at < to));
  }

  isName(text: string): boolean {
    return this.#names.has(text);
  }

  /** A text that nobody edits: a name alone gets the other name. */
  string(text: string): string {
    return this.#names.has(text) ? this.#replacement : this.text(text);
  }

  /** The id of a player, a room or an SDK instance: it stays one, and differs from the others. */
  id(id: string): string {
    if (this.#names.has(id)) return this.#replacement;
    const known = this.#ids.get(id);
    if (known !== undefined) return known;
    const ranges = this.#matcher.ranges(id);
    if (ranges.length === 0) return id;
    const filled = [...id].map((letter, at) => (ranges.some(([a, b]) => at >= a && at < b) ? this.#idFiller : letter));
    const taken = new Set([...this.#ids.values(), ...this.#players, this.#replacement]);
    let unique = filled.join('');
    while (taken.has(unique)) unique += this.#idFiller;
    this.#ids.set(id, unique);
    return unique;
  }

  /** The key of a map, or an event's type. */
  key(key: string): string {
    if (this.#known.has(key)) return key;
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    if (!this.#names.has(key) && !this.#matcher.has(key)) return key;
    const renamed = this.#names.has(key) ? this.#replacement : this.#newKey();
    this.#keys.set(key, renamed);
    return renamed;
  }

  /** Whether a text that is to be put into the recording has in it what has to go. */
  has(text: string): boolean {
    return this.#matcher.has(text);
  }

  #newKey(): string {
    const number = ++this.#keyNumber;
    for (const start of KEY_STARTS) if (!this.#matcher.has(`${start}${number}`)) return `${start}${number}`;
    return '█'.repeat(number);
  }
}
