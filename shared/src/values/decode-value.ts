import type { ByteReader } from '../bytes/byte-reader.ts';
import { LIMITS } from '../limits.ts';
import { isForbiddenKey, type Json } from './json.ts';

const EMPTY_ARRAY = 0x90;
const LONGEST_MAP_OR_ARRAY = 0x9f;

/**
 * Reads one MessagePack value of the strict subset in DELTA.md (W11): lengths are checked before anything is allocated,
 * and depth, number of nodes, types, keys and UTF-8 are all limited. Fails through the reader.
 *
 * `maxNodes` is for values that are bounded by their bytes alone, such as the summary of a long recording.
 */
export function decodeValue(reader: ByteReader, maxNodes: number = LIMITS.nodes): Json {
  // What nearly every event is made of, without a decoder of its own: small numbers, short texts, empty arrays.
  if (reader.left > 0 && maxNodes > 0) {
    const tag = reader.peek();
    if (tag < 0x80) return reader.byte();
    if (tag === EMPTY_ARRAY) {
      reader.byte();
      return [];
    }
    if (tag > LONGEST_MAP_OR_ARRAY && tag < 0xc0) return reader.utf8(reader.byte() & 0x1f);
  }
  return new ValueDecoder(reader, maxNodes).value(0);
}

class ValueDecoder {
  readonly #reader: ByteReader;
  #nodesLeft: number;

  constructor(reader: ByteReader, maxNodes: number) {
    this.#reader = reader;
    this.#nodesLeft = maxNodes;
  }

  value(depth: number): Json {
    const reader = this.#reader;
    if (--this.#nodesLeft < 0) reader.fail('has a value of too many parts');
    const tag = reader.byte();
    if (tag < 0x80) return tag;
    if (tag < 0x90) return this.#map(tag & 0x0f, depth);
    if (tag < 0xa0) return this.#array(tag & 0x0f, depth);
    if (tag < 0xc0) return reader.utf8(tag & 0x1f);
    if (tag >= 0xe0) return tag - 0x100;
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
      case 0xcb:
        return this.#float(tag === 0xca ? 4 : 8);
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
        return this.#unsigned(2 ** (tag - 0xcc));
      case 0xd0:
      case 0xd1:
      case 0xd2:
      case 0xd3:
        return this.#signed(2 ** (tag - 0xd0));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return reader.utf8(this.#unsigned(2 ** (tag - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#unsigned(2 ** (tag - 0xdb)), depth);
      case 0xde:
      case 0xdf:
        return this.#map(this.#unsigned(2 ** (tag - 0xdd)), depth);
      default:
        return reader.fail(`has a value of type 0x${tag.toString(16)}, which is not allowed,`);
    }
  }

  #array(length: number, depth: number): Json[] {
    this.#enter(depth);
    if (length > this.#reader.left) this.#reader.fail(`has an array of ${length}, more than its bytes can hold,`);
    const items: Json[] = [];
    for (let i = 0; i < length; i++) items.push(this.value(depth + 1));
    return items;
  }

  #map(size: number, depth: number): Json {
    this.#enter(depth);
    if (size * 2 > this.#reader.left) this.#reader.fail(`has a map of ${size}, more than its bytes can hold,`);
    const map: Record<string, Json> = {};
    for (let i = 0; i < size; i++) {
      const key = this.#key();
      if (isForbiddenKey(key)) this.#reader.fail(`has the map key ${key}, which is not allowed,`);
      if (Object.hasOwn(map, key)) this.#reader.fail('has the same map key twice');
      map[key] = this.value(depth + 1);
    }
    return map;
  }

  #key(): string {
    const tag = this.#reader.byte();
    if (tag >= 0xa0 && tag < 0xc0) return this.#reader.utf8(tag & 0x1f);
    if (tag >= 0xd9 && tag <= 0xdb) return this.#reader.utf8(this.#unsigned(2 ** (tag - 0xd9)));
    return this.#reader.fail('has a map key that is not a string');
  }

  #enter(depth: number): void {
    if (depth >= LIMITS.depth) this.#reader.fail(`is nested deeper than ${LIMITS.depth}`);
  }

  #float(bytes: 4 | 8): number {
    const raw = this.#reader.raw(bytes);
    const view = new DataView(raw.buffer, raw.byteOffset, bytes);
    const value = bytes === 4 ? view.getFloat32(0) : view.getFloat64(0);
    if (!Number.isFinite(value)) this.#reader.fail('has a number that is not finite');
    return value === 0 ? 0 : value;
  }

  #unsigned(bytes: number): number {
    let value = 0;
    for (let i = 0; i < bytes; i++) value = value * 256 + this.#reader.byte();
    if (value > Number.MAX_SAFE_INTEGER) this.#reader.fail('has a number over 2^53');
    return value;
  }

  #signed(bytes: number): number {
    const raw = this.#reader.raw(bytes);
    const view = new DataView(raw.buffer, raw.byteOffset, bytes);
    if (bytes === 1) return view.getInt8(0);
    if (bytes === 2) return view.getInt16(0);
    if (bytes === 4) return view.getInt32(0);
    const value = view.getInt32(0) * 2 ** 32 + view.getUint32(4);
    if (!Number.isSafeInteger(value)) this.#reader.fail('has a number under -2^53');
    return value;
  }
}
