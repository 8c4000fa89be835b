import { GametapeError, type JsonObject, type SessionSummary, type UpMessage } from '@gametape/shared';

/** What ends a session. */
export type DepartureRequest = { readonly kind: 'leave' } | { readonly kind: 'end'; readonly outcome: JsonObject };

/**
 * How a session ends: what was asked of the relay, and is asked again after a reconnection; what the relay asks when the room
 * ends (W6); and what became of it.
 */
export class Departure {
  readonly #room: string;
  readonly #player: string;
  #request: DepartureRequest | undefined;
  /** What is to be said once all events are sent: it names the last of them. */
  #saysRequest = false;
  #saysFinal = false;
  #isEnding = false;
  #closed: GametapeError | undefined;
  #refusal: GametapeError | undefined;
  #summary: SessionSummary | undefined;

  constructor(room: string, player: string) {
    this.#room = room;
    this.#player = player;
  }

  /** The room is over, and recorded. */
  get summary(): SessionSummary | undefined {
    return this.#summary;
  }

  /** Why the connection is over, if nobody meant it to be. */
  get refusal(): GametapeError | undefined {
    return this.#refusal;
  }

  /** The relay has asked for what is left: nothing more is recorded. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  get isOver(): boolean {
    return this.#closed !== undefined || this.#summary !== undefined;
  }

  ask(request: DepartureRequest): void {
    this.#request = request;
    this.#saysRequest = true;
  }

  /** A relay that was started anew does not know that the room was to end. */
  welcomed(): void {
    this.#isEnding = false;
    this.#saysFinal = false;
    this.askAgain();
  }

  /** The relay lacks events: what is said after them is said after them again. */
  askAgain(): void {
    this.#saysRequest = this.#request !== undefined;
  }

  /** The room ends: the relay is told the last event once it is sent. */
  askedForRest(): void {
    this.#isEnding = true;
    this.#saysFinal = true;
  }

  /** All events are sent: what has waited for that, in order. */
  takeLast(lastPseq: number): readonly UpMessage[] {
    const messages: UpMessage[] = [];
    if (this.#saysFinal) messages.push({ kind: 'final', lastPseq });
    if (this.#saysRequest && this.#request) messages.push({ ...this.#request, lastPseq });
    this.#saysFinal = false;
    this.#saysRequest = false;
    return messages;
  }

  ended(summary: SessionSummary): void {
    this.#summary = summary;
  }

  /** The connection is over. Returns what whoever still waits is told. */
  over(error: GametapeError | undefined): GametapeError {
    this.#refusal = error;
    this.#closed =
      error ?? new GametapeError('SESSION_CLOSED', `the session of ${this.#player} in ${this.#room} is closed`);
    return this.#closed;
  }

  /** @throws GametapeError `SESSION_CLOSED` when nothing more can be recorded */
  checkOpen(): void {
    if (this.#summary) throw new GametapeError('SESSION_CLOSED', `room ${this.#room} has ended`);
    if (this.#closed) throw new GametapeError('SESSION_CLOSED', this.#closed.message, { cause: this.#closed });
    if (this.#request)
      throw new GametapeError('SESSION_CLOSED', `the session of ${this.#player} is about to ${this.#request.kind}`);
    if (this.#isEnding) throw new GametapeError('SESSION_CLOSED', `room ${this.#room} is about to end`);
  }
}
