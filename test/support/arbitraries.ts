import type { Json, JsonObject, State } from '@gametape/shared';
import fc from 'fast-check';

const FORBIDDEN = new Set(['__proto__', 'prototype', 'constructor']);
const CHARACTERS = ['a', 'b', 'Z', '7', ' ', '\n', '"', '\\', '\0', 'é', 'ß', '世', '\u2028', '\ufeff', '😀', '👩🏽'];

/** Well-formed text of one to four UTF-8 bytes a character, with all that is easily mangled. */
export function anyText(maxLength = 24): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...CHARACTERS), maxLength });
}

/** Every number that JSON has. -0 is none: it is captured as 0. */
const anyNumber: fc.Arbitrary<number> = fc
  .oneof(
    fc.integer({ min: -200, max: 70_000 }),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  )
  .map((number) => number + 0);

/** Few enough that two states share some. */
const anyKey: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom('code', 'position', 'score', 'tree', 'list', 'toString', '12'),
  anyText(6).filter((key) => !FORBIDDEN.has(key)),
);

export function anyJson(maxDepth = 4): fc.Arbitrary<Json> {
  const { value } = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { maxDepth, depthSize: 'small' },
      fc.constantFrom<Json>(null, true, false),
      anyNumber,
      anyText(),
      fc.array(fc.integer({ min: -50, max: 300 }), { maxLength: 4 }),
      fc.array(tie('value'), { maxLength: 5 }),
      fc.dictionary(anyKey, tie('value'), { maxKeys: 5, noNullPrototype: true }),
    ),
  }));
  return value;
}

export const anyData: fc.Arbitrary<JsonObject> = fc.dictionary(anyKey, anyJson(2), {
  maxKeys: 4,
  noNullPrototype: true,
});
export const anyState: fc.Arbitrary<State> = fc.dictionary(anyKey, anyJson(), { maxKeys: 6, noNullPrototype: true });

/** One step of a game: what becomes of a state. Places are given as fractions, so that they fit any state. */
export interface StateEdit {
  readonly kind: 'set' | 'delete' | 'text' | 'add' | 'nest' | 'nothing';
  readonly key: string;
  readonly place: number;
  readonly length: number;
  readonly by: number;
  readonly text: string;
  readonly value: Json;
}

export const anyStateEdit: fc.Arbitrary<StateEdit> = fc.record({
  kind: fc.constantFrom('set', 'delete', 'text', 'text', 'text', 'add', 'add', 'nest', 'nest', 'nothing'),
  key: anyKey,
  place: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.nat({ max: 5 }),
  by: fc.integer({ min: -300, max: 70_000 }),
  text: fc.oneof(anyText(), fc.constant('x'.repeat(700)), fc.constant('😀'.repeat(400))),
  value: anyJson(),
});

/** The state after `edit`. An edit that its key does not allow sets the key instead. */
export function editState(state: State, edit: StateEdit): State {
  const keys = Object.keys(state);
  const known = keys[Math.floor(edit.place * (keys.length - 1))];
  const key = edit.kind === 'set' ? edit.key : (known ?? edit.key);
  const value = state[key];
  const { [key]: _, ...others } = state;
  switch (edit.kind) {
    case 'nothing':
      return state;
    case 'delete':
      return others;
    case 'text':
      if (typeof value === 'string') return { ...state, [key]: editText(value, edit) };
      break;
    case 'add':
      if (Number.isInteger(value)) return { ...state, [key]: Math.min((value as number) + edit.by, 2 ** 53 - 1) };
      if (Array.isArray(value) && value.every(Number.isInteger)) {
        return { ...state, [key]: value.map((item: number) => Math.min(item + edit.by, 2 ** 53 - 1)) };
      }
      break;
    case 'nest':
      if (typeof value === 'object' && value !== null) return { ...state, [key]: editInside(value, edit) };
      break;
    case 'set':
      break;
  }
  return { ...state, [key]: edit.value };
}

function editText(text: string, { place, length, text: insert }: StateEdit): string {
  const points = [...text];
  points.splice(Math.floor(place * points.length), length, insert);
  return points.join('');
}

function editInside(value: Json, edit: StateEdit): Json {
  if (Array.isArray(value)) {
    const items: Json[] = [...value];
    const at = Math.floor(edit.place * items.length);
    if (edit.by % 2 === 0 && at < items.length) items[at] = editInside(items[at] as Json, edit);
    else items.splice(at, edit.length, edit.value);
    return items;
  }
  if (typeof value !== 'object' || value === null) return edit.value;
  const map = value as JsonObject;
  const keys = Object.keys(map);
  const key = keys[Math.floor(edit.place * (keys.length - 1))];
  if (key === undefined || edit.by % 3 === 0) return { ...map, [edit.key]: edit.value };
  const { [key]: inner, ...others } = map;
  return edit.by % 5 === 0 ? others : { ...map, [key]: editInside(inner as Json, edit) };
}
