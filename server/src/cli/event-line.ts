import type { Json, JsonObject, State } from '@gametape/shared';
import { plainJson, plainText } from './table.ts';
import { paintData } from './terminal.ts';

/** One line of `--json`: what the canonical JSON says of the event, and its number in the room. */
export interface EventLine {
  /** Counts the events of a recording; left out of a room that goes on, where late ones come in between. */
  readonly index?: number;
  readonly seq: number;
  readonly timestamp: number;
  /** It came after its time had been shown; left out of recordings. */
  readonly late?: boolean;
  readonly event: { readonly type: string; readonly player_id: string; readonly data: JsonObject };
  readonly game_state?: State;
}

/** The same for people; players are padded to `width`. */
export function eventText({ timestamp, event, game_state, late }: EventLine, width: number): string {
  const { type, player_id, data } = event;
  const time = paintData('dim', timestamp.toFixed(3).padStart(8));
  const mark = late ? `  ${paintData('yellow', 'late')}` : '';
  const state = game_state === undefined ? '' : `  ${plainJson(game_state)}`;
  const what = `${paintData('cyan', plainText(type, 64))}  ${dataText(data)}${state}`;
  return `${time}${mark}  ${plainText(player_id, 64).padEnd(width)}  ${what}`.trimEnd();
}

export function dataText(data: JsonObject): string {
  return Object.entries(data)
    .map(([key, value]: [string, Json]) => `${plainText(key, 64)}=${plainJson(value)}`)
    .join(' ');
}
