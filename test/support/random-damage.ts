import type { DamageTarget, TargetBlock } from './damage-target.ts';

export interface RandomDamage {
  readonly bytes: Uint8Array;
  /** Blocks that are in it byte for byte. */
  readonly intact: readonly TargetBlock[];
  readonly what: string;
}

/** Some of what happens to files: pieces of them moved, lost, repeated, overwritten, taken from elsewhere. */
export function randomDamage(target: DamageTarget, other: Uint8Array, random: () => number): RandomDamage {
  const damage = new Damage(target, other, random);
  const steps = 1 + Math.floor(random() * 3);
  for (let i = 0; i < steps; i++) damage.step();
  return damage.result();
}

class Damage {
  readonly #target: DamageTarget;
  readonly #other: Uint8Array;
  readonly #random: () => number;
  readonly #said: string[] = [];
  #bytes: Buffer;

  constructor(target: DamageTarget, other: Uint8Array, random: () => number) {
    this.#target = target;
    this.#other = other;
    this.#random = random;
    this.#bytes = Buffer.from(target.bytes);
  }

  step(): void {
    const kinds = [
      this.#swap,
      this.#remove,
      this.#repeat,
      this.#zero,
      this.#paste,
      this.#insert,
      this.#cut,
      this.#flips,
    ];
    const kind = kinds[this.#below(kinds.length)] as () => string;
    this.#said.push(kind.call(this));
  }

  result(): RandomDamage {
    const intact = this.#target.blocks.filter(({ offset, end }) => {
      return this.#bytes.includes(Buffer.from(this.#target.bytes.subarray(offset, end)));
    });
    return { bytes: Uint8Array.from(this.#bytes), intact, what: this.#said.join('; ') };
  }

  #swap(): string {
    const [one, two] = [this.#block(), this.#block()].sort((a, b) => a.offset - b.offset) as [TargetBlock, TargetBlock];
    if (one === two || two.end > this.#bytes.length) return 'nothing';
    const part = (from: number, to: number) => this.#bytes.subarray(from, to);
    this.#bytes = Buffer.concat([
      part(0, one.offset),
      part(two.offset, two.end),
      part(one.end, two.offset),
      part(one.offset, one.end),
      part(two.end, this.#bytes.length),
    ]);
    return `blocks at ${one.offset} and ${two.offset} swapped`;
  }

  #remove(): string {
    const { offset, end } = this.#block();
    return this.#splice(offset, end - offset, Buffer.alloc(0), 'removed');
  }

  #repeat(): string {
    const { offset, end } = this.#block();
    return this.#splice(this.#place(), 0, Buffer.from(this.#target.bytes.subarray(offset, end)), 'a block repeated');
  }

  #zero(): string {
    const length = this.#below(3_000);
    return this.#splice(this.#place(), length, Buffer.alloc(length), 'zeroed');
  }

  #paste(): string {
    const from = this.#below(this.#other.length);
    const part = Buffer.from(this.#other.subarray(from, from + this.#below(20_000)));
    const removed = this.#below(2) === 0 ? part.length : 0;
    return this.#splice(this.#place(), removed, part, 'another recording');
  }

  #insert(): string {
    const garbage = Buffer.from(Array.from({ length: this.#below(500) }, () => this.#below(256)));
    return this.#splice(this.#place(), 0, garbage, 'garbage');
  }

  #cut(): string {
    const place = this.#place();
    if (this.#below(4) === 0) return this.#splice(0, place, Buffer.alloc(0), 'cut at the front');
    return this.#splice(place, this.#bytes.length, Buffer.alloc(0), 'cut');
  }

  #flips(): string {
    for (let i = this.#below(20); i >= 0; i--) {
      const at = this.#place();
      this.#bytes[at] = (this.#bytes[at] ?? 0) ^ (1 + this.#below(255));
    }
    return 'bytes changed';
  }

  #splice(at: number, length: number, insert: Buffer, what: string): string {
    const rest = this.#bytes.subarray(Math.min(this.#bytes.length, at + length));
    this.#bytes = Buffer.concat([this.#bytes.subarray(0, at), insert, rest]);
    return `${what} at ${at}, ${length} bytes for ${insert.length}`;
  }

  #block(): TargetBlock {
    return this.#target.blocks[this.#below(this.#target.blocks.length)] as TargetBlock;
  }

  #place(): number {
    return this.#below(this.#bytes.length + 1);
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}
