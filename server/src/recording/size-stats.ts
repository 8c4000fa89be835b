import {
  BLOCK_HEADER_BYTES,
  type BlockReplay,
  ByteWriter,
  type RecordingReader,
  writeKeyframe,
} from '@gametape/shared';

/** Where the bytes of a recording are, as `.lmsp`. */
export interface SizeStats {
  readonly bytes: number;
  readonly bytesPerEvent: number | null;
  readonly blocks: number;
  readonly blockBytes: number;
  /** File header, index and footer. */
  readonly indexBytes: number;
  /** What the blocks hold before compression. */
  readonly rawBytes: number;
  /** How much of that keyframes take, written out whole. */
  readonly rawKeyframeBytes: number;
  /** `rawBytes` over the bytes they are stored in; null when there are none. */
  readonly compressionRatio: number | null;
}

/** Adds up what the blocks say of their sizes: nothing is read for it. */
export class SizeCount {
  readonly #reader: RecordingReader;
  readonly #keyframe = new ByteWriter(1_024);
  #stored = 0;
  #raw = 0;
  #keyframes = 0;

  constructor(reader: RecordingReader) {
    this.#reader = reader;
  }

  /** To be called before the block's steps, which move its keyframes on. */
  add({ header, content }: BlockReplay): void {
    this.#stored += header.storedLength;
    this.#raw += header.rawLength;
    for (const keyframe of content.keyframes()) {
      this.#keyframe.truncate(0);
      writeKeyframe(this.#keyframe, keyframe);
      this.#keyframes += this.#keyframe.length;
    }
  }

  toStats(events: number): SizeStats {
    const { bytes, blocks } = this.#reader;
    const blockBytes = this.#stored + blocks.length * BLOCK_HEADER_BYTES;
    return {
      bytes,
      bytesPerEvent: events > 0 ? bytes / events : null,
      blocks: blocks.length,
      blockBytes,
      indexBytes: bytes - blockBytes,
      rawBytes: this.#raw,
      rawKeyframeBytes: this.#keyframes,
      compressionRatio: this.#stored > 0 ? this.#raw / this.#stored : null,
    };
  }
}
