import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Session } from '@gametape/client-sdk';
import { EventType, GametapeError } from '@gametape/shared';
import { CodePointText } from './code-point-text.ts';

/** Events that may be made in one turn of the event loop before the others get theirs. */
const EVENTS_PER_TURN = 32;
/** Bytes that may wait to be stable before typing waits too: the SDK drops what does not fit into 8 MiB (W3). */
const MAX_PENDING_BYTES = 1024 * 1024;

/** Types into a session the way an editor does: the text, the cursor and the keystroke in one event. */
export class Typewriter {
  readonly #session: Session;
  readonly #text: CodePointText;

  constructor(session: Session, text: string) {
    this.#session = session;
    this.#text = new CodePointText(text);
  }

  /** Removes and inserts at a position in code points, which must lie inside the text. */
  type({ at, remove, insert }: { at: number; remove: number; insert: string }): void {
    this.#session.edit('current_code', this.#text.edit(at, remove, insert));
    this.#session.set('cursor_position', this.#text.cursor);
    const char = insert === '' ? 'Backspace' : insert;
    this.#session.record({ type: EventType.KEYSTROKE, data: { char, modifiers: [] } });
  }

  toString(): string {
    return this.#text.toString();
  }
}

/** Keeps the rhythm of one player, and never gets so far ahead of the relay that something would be dropped. */
export class Pacer {
  readonly #session: Session;
  readonly #speed: number;
  readonly #signal: AbortSignal;
  #dueMs = performance.now();
  #sinceTurn = 0;

  /** `speed` divides every gap; infinite means never to wait for the clock. */
  constructor(session: Session, speed: number, signal: AbortSignal) {
    this.#session = session;
    this.#speed = speed;
    this.#signal = signal;
  }

  /**
   * Waits until `gapMs` after the last time that was due.
   *
   * @throws AbortError when the signal is aborted, GametapeError `SESSION_CLOSED` when the session is over.
   */
  async wait(gapMs: number): Promise<void> {
    this.#dueMs += gapMs / this.#speed;
    const waitMs = this.#dueMs - performance.now();
    if (waitMs >= 1) {
      this.#sinceTurn = 0;
      await sleep(waitMs, undefined, { signal: this.#signal });
    } else if (++this.#sinceTurn >= EVENTS_PER_TURN) {
      this.#sinceTurn = 0;
      await nextTurn(undefined, { signal: this.#signal });
    } else return;
    if (this.#session.status.pendingBytes > MAX_PENDING_BYTES) {
      await this.#waitForRelay();
      this.#dueMs = performance.now();
    }
  }

  #waitForRelay(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (done: () => void) => {
        stopListening();
        this.#signal.removeEventListener('abort', onAbort);
        done();
      };
      const onAbort = () => settle(() => reject(this.#signal.reason));
      const stopListening = this.#session.on('status', ({ connection, pendingBytes }) => {
        if (connection === 'closed' || connection === 'ended') {
          const { player, room } = this.#session;
          settle(() =>
            reject(new GametapeError('SESSION_CLOSED', `the session of ${player} in ${room} is ${connection}`)),
          );
        } else if (pendingBytes <= MAX_PENDING_BYTES) settle(resolve);
      });
      this.#signal.addEventListener('abort', onAbort);
    });
  }
}
