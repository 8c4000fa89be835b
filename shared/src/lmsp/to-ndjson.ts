import type { DeltaOp, State } from '../event.ts';
import { type Profile, profileNamed } from '../profile/profile.ts';
import type { TimelineStep } from '../recording/block-replay.ts';
import type { RecordingReader } from '../recording/recording-reader.ts';
import type { Json, JsonObject } from '../values/json.ts';

/** Version of the lines: that of the format they come from. */
export const NDJSON_VERSION = 2;

/** One edit of a text: position, code units removed, text inserted. Positions are UTF-16 code units. */
export type NdjsonSplice = readonly [at: number, remove: number, insert: string];

/** A player's state, whole or as what changed since that player's line before. */
export type NdjsonState =
  | { readonly type: 'full'; readonly data: State }
  | {
      readonly type: 'delta';
      readonly set?: JsonObject;
      readonly delete?: readonly string[];
      readonly splice?: Readonly<Record<string, readonly NdjsonSplice[]>>;
    };

/**
 * A recording as lines of JSON: a header with its meta and summary, then a line an event, with what changed in the player's
 * `state` and the names of `checkpoints` made there. A change without an event has `player_id` in place of `event`. Each piece
 * is a whole line. Read back, all of this is the same; stamps, producers and room times are not told.
 */
export async function* ndjsonLines(reader: RecordingReader): AsyncGenerator<string> {
  const { meta, summary } = reader;
  yield line({ gametape: NDJSON_VERSION, ...meta, ...summary });
  const names = new Map<number, string[]>();
  for (const { name, seq } of reader.checkpoints) names.set(seq, [...(names.get(seq) ?? []), name]);
  const players = new Map<string, ShownState>();
  const profile = profileNamed(meta.profile);
  const clock = reader.playClock();
  for await (const step of reader.steps()) {
    const { entry, body, context } = step;
    const { event } = body;
    if (event && !summary) clock.observe(entry.time, context.player, event);
    const shown = players.get(context.player) ?? new ShownState(profile);
    players.set(context.player, shown);
    const state = shown.follow(step);
    const checkpoints = names.get(entry.seq);
    yield line({
      timestamp: entry.exact ?? clock.playTime(entry.time) / 1_000_000,
      ...(event
        ? { event: { type: event.type, player_id: context.player, data: event.data } }
        : { player_id: context.player }),
      ...(state && { state }),
      ...(checkpoints && { checkpoints }),
    });
  }
}

/** What the lines so far show of one player's state. */
class ShownState {
  readonly #clockKeys: ReadonlySet<string>;
  readonly #clockValues = new Map<string, Json | undefined>();
  #producer: number | undefined;

  constructor({ clockKeys }: Profile) {
    this.#clockKeys = clockKeys;
  }

  follow({ body, context }: TimelineStep): NdjsonState | undefined {
    const { state } = context;
    if (state.size === 0 && body.change === undefined) return undefined;
    const isNew = this.#producer !== context.index;
    this.#producer = context.index;
    if (isNew || body.change?.form === 'keyframe') {
      for (const key of this.#clockKeys) this.#clockValues.set(key, state.get(key));
      return { type: 'full', data: state.toJson() };
    }
    const change = new Change();
    if (body.change) for (const op of body.change.ops) change.add(op);
    for (const key of this.#clockKeys) {
      // A line says what a clock key shows: there is no clock in the text to follow (D5).
      if (this.#clockValues.get(key) !== state.get(key)) change.touch(key);
      this.#clockValues.set(key, state.get(key));
    }
    return change.toJson((key) => state.get(key));
  }
}

/** The ops of a delta, told by key. */
class Change {
  readonly #splices = new Map<string, NdjsonSplice[]>();
  readonly #touched = new Set<string>();

  add(op: DeltaOp): void {
    if (op.op !== 'splice') {
      this.touch(op.key);
      return;
    }
    const edit: NdjsonSplice = [op.at, op.remove, op.insert];
    const edits = this.#splices.get(op.key);
    if (edits) edits.push(edit);
    else this.#splices.set(op.key, [edit]);
  }

  /** The value after all ops will be told. */
  touch(key: string): void {
    this.#touched.add(key);
  }

  toJson(valueAt: (key: string) => Json | undefined): NdjsonState | undefined {
    const set: [string, Json][] = [];
    const gone: string[] = [];
    for (const key of this.#touched) {
      const value = valueAt(key);
      if (value === undefined) gone.push(key);
      else set.push([key, value]);
    }
    const splices = [...this.#splices].filter(([key]) => !this.#touched.has(key));
    if (set.length + gone.length + splices.length === 0) return undefined;
    return {
      type: 'delta',
      ...(set.length > 0 && { set: Object.fromEntries(set) }),
      ...(gone.length > 0 && { delete: gone }),
      ...(splices.length > 0 && { splice: Object.fromEntries(splices) }),
    };
  }
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
