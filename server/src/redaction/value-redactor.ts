import { isJsonObject, type Json, type JsonObject, LMSP_PROFILE, type Profile } from '@gametape/shared';
import type { Words } from './words.ts';

/** What the LMSP game itself puts into states: not a player's text. */
const GAME_KEYS: ReadonlySet<string> = new Set([
  'player_id',
  'challenge_id',
  'challenges_completed',
  'concepts_mastered',
  'mastery_levels',
  'current_emotion',
]);

export interface ValueContext {
  /** It is the text of the player whose text has to go. */
  readonly isOwn: boolean;
  /** Where it is, with `*` for any item of an array: places that ever held a match say nothing any more. */
  readonly place?: string;
}

export interface ValueRedactorOptions {
  readonly words: Words;
  readonly profile: Profile;
  /** Whose text has to go. */
  readonly owner: string | undefined;
  readonly isSpoilt: (place: string) => boolean;
}

/** Redacts values of any shape. What it makes of a value depends on that value alone, and arrays keep their length. */
export class ValueRedactor {
  readonly #words: Words;
  readonly #gameKeys: ReadonlySet<string>;
  readonly #owner: string | undefined;
  readonly #isSpoilt: (place: string) => boolean;

  constructor({ words, profile, owner, isSpoilt }: ValueRedactorOptions) {
    this.#words = words;
    this.#gameKeys = profile.name === LMSP_PROFILE.name ? GAME_KEYS : new Set();
    this.#owner = owner;
    this.#isSpoilt = isSpoilt;
  }

  value(value: Json, context: ValueContext): Json {
    if (typeof value === 'string') return this.#text(value, context);
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) {
      const place = context.place === undefined ? {} : { place: `${context.place}.*` };
      return value.map((item: Json) => this.value(item, { isOwn: context.isOwn, ...place }));
    }
    return this.map(value as JsonObject, context);
  }

  map(map: JsonObject, { isOwn, place }: ValueContext): JsonObject {
    // What names the player is about the player: its entry in a list of the others, for one.
    const isAboutOwner = this.#owner !== undefined && Object.values(map).includes(this.#owner);
    const entries = Object.entries(map).map(([key, value]): [string, Json] => {
      const isItsOwn = (isOwn || isAboutOwner || key === this.#owner) && !this.isOfGame(key);
      const inside = place === undefined ? {} : { place: `${place}.${key}` };
      return [this.#words.key(key), this.value(value, { isOwn: isItsOwn, ...inside })];
    });
    return Object.fromEntries(entries);
  }

  /** A key whose values are the game's. */
  isOfGame(key: string): boolean {
    return this.#gameKeys.has(key);
  }

  #text(text: string, { isOwn, place }: ValueContext): string {
    if (this.#words.isName(text)) return this.#words.string(text);
    if (isOwn && text !== this.#owner) return this.#words.blotAll(text);
    if (place !== undefined && this.#isSpoilt(place)) return this.#words.blotAll(text);
    return this.#words.text(text);
  }
}

/** Calls `visit` with every text inside of a value and its place. */
export function eachText(value: Json, place: string, visit: (text: string, place: string) => void): void {
  if (typeof value === 'string') visit(value, place);
  else if (Array.isArray(value)) for (const item of value as readonly Json[]) eachText(item, `${place}.*`, visit);
  else if (isJsonObject(value)) {
    for (const [key, item] of Object.entries(value)) eachText(item, `${place}.${key}`, visit);
  }
}
