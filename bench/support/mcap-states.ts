import type { ByteSource, Json, JsonObject } from '@gametape/shared';
import type { NdjsonState } from '@gametape/shared/lmsp';
import type { McapIndexedReader } from '@mcap/core';
import { type McapMessage, openMcap, parsed } from './mcap-file.ts';
import { editsByPlayer, json, messageOf, nanoseconds } from './mcap-layouts.ts';
import type { EventLine, PeerEvent } from './peer-events.ts';

const KEYFRAMES = 'keyframes';
const KEYFRAME_EVERY_US = 30_000_000;

/**
 * The messages of a session, with the states of all players every 30 s on a channel of their own: MCAP has no "state at a
 * time", and this is how its users get one.
 */
export function* withKeyframes(events: Iterable<PeerEvent>): Generator<McapMessage> {
  const states = new Map<string, JsonObject>();
  let due = 0;
  for (const event of events) {
    yield editsByPlayer(event);
    follow(states, event.player, event.line.state);
    if (event.time < due) continue;
    due = event.time + KEYFRAME_EVERY_US;
    yield messageOf(event, KEYFRAMES, json(Object.fromEntries(states)));
  }
}

/** A file made of them, open for seeking. */
export class McapTape {
  readonly players: readonly string[];
  readonly #reader: McapIndexedReader;

  private constructor(reader: McapIndexedReader) {
    this.#reader = reader;
    this.players = [...reader.channelsById.values()].map(({ topic }) => topic).filter((topic) => topic !== KEYFRAMES);
  }

  static async open(source: ByteSource): Promise<McapTape> {
    return new McapTape(await openMcap(source));
  }

  /** Names only. */
  get checkpoints(): readonly string[] {
    return this.#reader.metadataIndexes.map(({ name }) => name);
  }

  /** Every player's state at a time in seconds: the keyframe before it, and the edits from there. */
  async statesAt(time: number): Promise<Map<string, JsonObject>> {
    const endTime = nanoseconds(Math.floor(time * 1_000_000));
    const states = new Map<string, JsonObject>();
    let [startTime, sequence] = [0n, 0];
    for await (const message of this.#reader.readMessages({ topics: [KEYFRAMES], endTime, reverse: true })) {
      const keyframe = parsed<Record<string, JsonObject>>(message.data);
      for (const [player, state] of Object.entries(keyframe)) states.set(player, state);
      startTime = message.logTime;
      sequence = message.sequence;
      break;
    }
    for await (const message of this.#reader.readMessages({ topics: this.players, startTime, endTime })) {
      if (message.sequence <= sequence) continue;
      const player = this.#reader.channelsById.get(message.channelId)?.topic ?? '';
      follow(states, player, parsed<EventLine>(message.data).state);
    }
    return states;
  }
}

function follow(states: Map<string, JsonObject>, player: string, change: NdjsonState | undefined): void {
  if (change?.type === 'full') states.set(player, { ...change.data });
  if (change?.type !== 'delta') return;
  const state: Record<string, Json> = { ...states.get(player), ...change.set };
  for (const key of change.delete ?? []) delete state[key];
  for (const [key, edits] of Object.entries(change.splice ?? {})) {
    for (const [at, remove, insert] of edits) {
      const text = String(state[key]);
      state[key] = text.slice(0, at) + insert + text.slice(at + remove);
    }
  }
  states.set(player, state);
}
