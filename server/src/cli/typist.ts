import type { Session } from '@gametape/client-sdk';
import { EventType, isGametapeError, profileNamed, type State } from '@gametape/shared';
import { pick, type Random, seededRandom } from './seeded-random.ts';
import type { Trace } from './trace.ts';
import { Pacer, Typewriter } from './typewriter.ts';

const TEST_EVERY = 200;
const MESSAGE_EVERY = 300;
const CHECKPOINT_EVERY = 1_000;
const TESTS_TOTAL = 12;
const PASS_RATE = 0.7;

const MESSAGES = [
  'how is it going?',
  'almost there',
  'my tests are green',
  'did you see the hint?',
  'one more bug to find',
  'this part was easy',
  'I renamed it, reads better now',
  'good luck with the next one',
] as const;

export interface TypingOptions {
  /** Milliseconds to wait before each edit, as many as there are edits to type. */
  readonly gaps: Float64Array;
  /** Divides every gap; infinite means not to wait. */
  readonly speed: number;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly onEdit: () => void;
}

/** What one bot did. */
export interface TypingResult {
  readonly events: number;
  /** Checkpoints that the relay refused: their names were taken already. */
  readonly refused: readonly string[];
}

/** The state that a bot joins with. */
export function typistState(player: string, { startContent }: Pick<Trace, 'startContent'>): State {
  const initial = profileNamed('lmsp').initialState?.(player);
  return { ...initial, current_code: startContent, tests_total: TESTS_TOTAL };
}

/**
 * Types a trace into a session: one KEYSTROKE per edit, and beside it test runs, messages and checkpoints as a player
 * makes them. Resolves when everything is recorded; it need not be stable yet.
 *
 * @throws GametapeError `SESSION_CLOSED`; AbortError
 */
export async function typeTrace(session: Session, trace: Trace, options: TypingOptions): Promise<TypingResult> {
  const { gaps, speed, seed, signal, onEdit } = options;
  const typewriter = new Typewriter(session, trace.startContent);
  const pacer = new Pacer(session, speed, signal);
  const extras = new Extras(session, seededRandom(seed));
  for (const [index, gap] of gaps.entries()) {
    const edit = trace.edits[index];
    if (!edit) break;
    await pacer.wait(gap);
    typewriter.type(edit);
    extras.afterEdit(index + 1);
    onEdit();
  }
  return { events: gaps.length + extras.events, refused: await extras.refused() };
}

/** What a player does besides typing. */
class Extras {
  events = 0;
  readonly #session: Session;
  readonly #random: Random;
  readonly #checkpoints: Promise<string | undefined>[] = [];
  #passing = 0;

  constructor(session: Session, random: Random) {
    this.#session = session;
    this.#random = random;
  }

  /** `edits` is how many this bot has typed so far. */
  afterEdit(edits: number): void {
    if (edits % TEST_EVERY === 0) this.#runTests();
    if (edits % MESSAGE_EVERY === 0) this.#say();
    if (edits % CHECKPOINT_EVERY === 0) this.#checkpoint(`${this.#session.player}-${edits}`);
  }

  /** Names of the checkpoints that were refused, once the relay has answered for all. */
  async refused(): Promise<string[]> {
    const outcomes = await Promise.all(this.#checkpoints);
    return outcomes.filter((name) => name !== undefined);
  }

  #runTests(): void {
    const passes = this.#passing === 0 || (this.#passing < TESTS_TOTAL && this.#random() < PASS_RATE);
    this.#passing += passes ? 1 : -1;
    this.#record(EventType.TEST_RUN, { tests_total: TESTS_TOTAL });
    this.#session.set('tests_passing', this.#passing);
    const counts = { tests_passing: this.#passing, tests_total: TESTS_TOTAL };
    this.#record(passes ? EventType.TEST_PASS : EventType.TEST_FAIL, counts);
  }

  #say(): void {
    this.#session.say(pick(this.#random, MESSAGES));
    this.events++;
  }

  /** Typing goes on while the relay answers: the checkpoint stands where it was made. */
  #checkpoint(name: string): void {
    this.events++;
    const made = this.#session.checkpoint(name).then(
      () => undefined,
      (error: unknown) => {
        if (isGametapeError(error, 'NAME_TAKEN')) return name;
        throw error;
      },
    );
    // It is awaited at the end; until then nobody must take its failure for an unhandled one.
    made.catch(() => {});
    this.#checkpoints.push(made);
  }

  #record(type: string, data: Record<string, number>): void {
    this.#session.record({ type, data });
    this.events++;
  }
}
