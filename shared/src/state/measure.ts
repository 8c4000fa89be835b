import type { Json } from '../values/json.ts';

/** What a value counts towards the limits of a state. It adds up, so that a change inside costs no more than itself. */
export interface Measure {
  /** Roughly bytes: see Limits in DELTA.md. */
  readonly weight: number;
  /** Every scalar, array and map. */
  readonly nodes: number;
  /** Arrays and maps around its deepest value. */
  readonly depth: number;
}

const SCALAR_WEIGHT = 4;
const FRAME_WEIGHT = 2;

export function measure(value: Json): Measure {
  if (typeof value === 'string') return { weight: textWeight(value), nodes: 1, depth: 0 };
  if (typeof value !== 'object' || value === null) return { weight: SCALAR_WEIGHT, nodes: 1, depth: 0 };
  let [weight, nodes, depth] = [FRAME_WEIGHT, 1, 0];
  const add = (item: Json) => {
    const inner = measure(item);
    weight += inner.weight;
    nodes += inner.nodes;
    depth = Math.max(depth, inner.depth);
  };
  if (Array.isArray(value)) for (const item of value) add(item);
  else {
    for (const [key, item] of Object.entries(value)) {
      weight += key.length;
      add(item);
    }
  }
  return { weight, nodes, depth: depth + 1 };
}

/** The weight of a text, which may be in pieces. */
export function textWeight(text: { readonly length: number }): number {
  return FRAME_WEIGHT + text.length;
}
