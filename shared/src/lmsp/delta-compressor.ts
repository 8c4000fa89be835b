import { captureJson, type JsonObject, jsonEqual } from '../values/json.ts';
import { parseGameState } from './parse.ts';
import type { GameState } from './schema.ts';

/** What the seed's compressor gives: a whole state, or the keys that are new or different. */
export interface CompressedState {
  readonly type: 'full' | 'delta';
  readonly data: JsonObject;
}

/** A delta has fewer than this part of a state's keys. */
const DELTA_SHARE = 0.3;

/** The seed's DeltaCompressor (L1). Recordings are not stored this way: see DELTA.md. */
export class DeltaCompressor {
  #lastState: JsonObject | undefined;

  compress(state: GameState): CompressedState {
    const current = captureJson(state, 'state') as JsonObject;
    const last = this.#lastState;
    this.#lastState = current;
    if (last === undefined) return { type: 'full', data: current };
    const keys = Object.keys(current);
    const changed = keys.filter((key) => !Object.hasOwn(last, key) || !jsonEqual(last[key], current[key]));
    // A delta cannot say that a key is gone. The seed's states never lose one.
    const isGone = Object.keys(last).some((key) => !Object.hasOwn(current, key));
    if (isGone || changed.length >= keys.length * DELTA_SHARE) return { type: 'full', data: current };
    return { type: 'delta', data: Object.fromEntries(changed.map((key) => [key, current[key] ?? null])) };
  }

  /** @throws GametapeError `BAD_STATE` when the result is no GameState. */
  decompress({ type, data }: CompressedState, base: JsonObject): GameState {
    return parseGameState(type === 'full' ? data : { ...base, ...data }, '', 'state');
  }
}
