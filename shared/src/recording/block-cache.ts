const DEFAULT_MAX_BYTES = 32 * 1024 * 1024;

/** A decoded block and its length in memory, about: that of its payload before compression. */
export interface CachedBlock<Block> {
  readonly block: Block;
  readonly rawLength: number;
}

/**
 * The blocks that were used last, by their index: jumping back and forth in a recording decodes a block once. Bounded by bytes,
 * but the block used last always stays, however long it is.
 */
export class BlockCache<Block> {
  readonly #maxBytes: number;
  /** Least recently used first. */
  readonly #blocks = new Map<number, CachedBlock<Block>>();
  readonly #loads = new Map<number, Promise<Block>>();
  #bytes = 0;

  /** @throws TypeError unless `maxBytes` is a number from 0 */
  constructor(maxBytes = DEFAULT_MAX_BYTES) {
    if (!(maxBytes >= 0)) throw new TypeError(`maxBytes: expected a number from 0, found ${maxBytes}`);
    this.#maxBytes = maxBytes;
  }

  /** Raw bytes of all blocks in it. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#blocks.size;
  }

  /** The block, which is then the last one to go. */
  get(index: number): Block | undefined {
    const cached = this.#blocks.get(index);
    if (!cached) return undefined;
    this.#blocks.delete(index);
    this.#blocks.set(index, cached);
    return cached.block;
  }

  /** Takes the place of what was there. @throws TypeError unless `rawLength` is a length */
  set(index: number, block: Block, rawLength: number): void {
    if (!Number.isSafeInteger(rawLength) || rawLength < 0)
      throw new TypeError(`rawLength: expected a length in bytes, found ${rawLength}`);
    this.#delete(index);
    this.#blocks.set(index, { block, rawLength });
    this.#bytes += rawLength;
    for (const oldest of this.#blocks.keys()) {
      if (this.#bytes <= this.#maxBytes || oldest === index) break;
      this.#delete(oldest);
    }
  }

  /**
   * The block, from `loader` if it is not here. Whoever asks while it is being loaded waits for the same load. One that fails is
   * forgotten: the next to ask tries again.
   */
  async load(index: number, loader: (index: number) => Promise<CachedBlock<Block>>): Promise<Block> {
    if (this.#blocks.has(index)) return this.get(index) as Block;
    const running = this.#loads.get(index);
    if (running) return running;
    const load = this.#load(index, loader).finally(() => this.#loads.delete(index));
    this.#loads.set(index, load);
    return load;
  }

  async #load(index: number, loader: (index: number) => Promise<CachedBlock<Block>>): Promise<Block> {
    const { block, rawLength } = await loader(index);
    this.set(index, block, rawLength);
    return block;
  }

  #delete(index: number): void {
    this.#bytes -= this.#blocks.get(index)?.rawLength ?? 0;
    this.#blocks.delete(index);
  }
}
