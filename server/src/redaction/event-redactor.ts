import { EventType, type GameEvent, type Json } from '@gametape/shared';
import { keyNameOf } from './key-names.ts';
import type { Redaction } from './redaction.ts';
import type { EventTrail, Piece } from './text-trail.ts';

/** Data of the profile's own events that players write; all else in them is the game's. */
const WRITTEN: ReadonlySet<string> = new Set(['char', 'message', 'value', 'final_code']);

/** Redacts the events of one player. */
export class EventRedactor {
  readonly #redaction: Redaction;
  readonly #isOwn: boolean;
  readonly #gameKeys: ReadonlyMap<string, ReadonlySet<string>>;

  constructor(redaction: Redaction, player: string) {
    this.#redaction = redaction;
    this.#isOwn = player === redaction.owner;
    const written = ({ type, keys }: { type: string; keys: readonly string[] }) =>
      [type, new Set(keys.filter((key) => !WRITTEN.has(key)))] as const;
    this.#gameKeys = new Map(redaction.profile.templates.map(written));
  }

  /**
   * What is inserted into a state and said by the event is the same text: what has to go from one goes from both.
   *
   * @param inserted what the entry inserts into the state's texts
   */
  redact(event: GameEvent, trail: EventTrail, inserted: readonly Piece[]): GameEvent {
    const { words, values } = this.#redaction;
    const said = trail.follow(event);
    const data = Object.entries(event.data).map(([key, value]): [string, Json] => {
      const isOwn = this.#isOwn && this.#gameKeys.get(event.type)?.has(key) !== true;
      if (typeof value !== 'string') return [words.key(key), values.value(value, { isOwn })];
      const pieces = [...said.filter((piece) => piece.key === key), ...inserted].filter(({ text }) => text === value);
      const isInserted = inserted.some(({ text }) => text === value);
      return [words.key(key), this.#text(value, { event, pieces, isOwn, isInserted })];
    });
    return { type: words.key(event.type), data: Object.fromEntries(data) };
  }

  #text(
    value: string,
    place: { event: GameEvent; pieces: readonly Piece[]; isOwn: boolean; isInserted: boolean },
  ): string {
    const { words, marks, matcher, owner } = this.#redaction;
    const { event, pieces, isOwn, isInserted } = place;
    const isEdited = isInserted || event.type === EventType.KEYSTROKE;
    if (!isEdited && words.isName(value)) return words.string(value);
    if (isOwn && value !== owner) {
      const isKey = event.type === EventType.KEYSTROKE && !isInserted && keyNameOf(value).isKey;
      if (!isKey) return words.blotAll(value);
    }
    const ranges = matcher.ranges(value);
    const isMarked = (at: number) =>
      ranges.some(([from, to]) => at >= from && at < to) ||
      pieces.some(({ firstId }) => marks.marked.has(firstId + at));
    for (let at = 0; at < value.length; at++) {
      if (isMarked(at)) for (const { firstId } of pieces) marks.marked.add(firstId + at);
    }
    return words.blot(value, isMarked);
  }
}
