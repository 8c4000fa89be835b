const PAGE_BITS = 15;
const PAGE_SIZE = 1 << PAGE_BITS;

/** A set of whole numbers below 2^32 in bits, in pages that are made where there is something to keep. */
export class IdSet {
  readonly #pages = new Map<number, Uint8Array>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(id: number): void {
    const number = id >>> PAGE_BITS;
    let page = this.#pages.get(number);
    if (!page) {
      page = new Uint8Array(PAGE_SIZE / 8);
      this.#pages.set(number, page);
    }
    const at = id & (PAGE_SIZE - 1);
    const byte = page[at >> 3] as number;
    const bit = 1 << (at & 7);
    if ((byte & bit) !== 0) return;
    page[at >> 3] = byte | bit;
    this.#size++;
  }

  has(id: number): boolean {
    const at = id & (PAGE_SIZE - 1);
    return ((this.#pages.get(id >>> PAGE_BITS)?.[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
  }
}
