import type { UpMessage } from '@gametape/shared';

/** Messages wait this long at most, in milliseconds. */
const LONGEST_MS = 1_000;
/** And there may be so many bytes of them: an SDK sends no more without an ack. */
const MOST_BYTES = 1024 * 1024;
/** What a message takes in memory beside its bytes, roughly. */
const OVERHEAD_BYTES = 256;

/**
 * Messages of a client that was away, or whose clock has jumped: what they hold was stamped by a clock that is not known yet. They
 * wait, in their order, until a few probes are answered (T6).
 */
export class HeldMessages {
  readonly #handle: (messages: readonly UpMessage[]) => void;
  #messages: UpMessage[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param handle called with all that waited, once it need not any more */
  constructor(handle: (messages: readonly UpMessage[]) => void) {
    this.#handle = handle;
  }

  get isHolding(): boolean {
    return this.#timer !== undefined;
  }

  hold(): void {
    this.#timer ??= setTimeout(() => this.release(), LONGEST_MS);
  }

  add(message: UpMessage, bytes: number): void {
    this.#messages.push(message);
    this.#bytes += bytes + OVERHEAD_BYTES;
    if (this.#bytes > MOST_BYTES) this.release();
  }

  release(): void {
    const messages = this.#messages;
    this.drop();
    this.#handle(messages);
  }

  /** The client will send them again. */
  drop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#messages = [];
    this.#bytes = 0;
  }
}
