import type { EventInput } from '@gametape/client-sdk';
import { EventType, type Json } from '@gametape/shared';
import { lognormal, pick, type Random, seededRandom } from './seeded-random.ts';

const KEY_GAP_MS = 130;
const THINK_MS = 900;
const TYPO_RATE = 0.035;
const TESTS_TOTAL = 4;

/** Keys that lie next to each other, row by row: where typos come from. */
const KEY_ROWS = ['qwertyuiop', 'asdfghjkl', 'zxcvbnm'] as const;

/** One thing that a player of the demo does, `afterMs` after the one before. Positions are code points. */
export type DemoStep = { readonly afterMs: number } & (
  | { readonly does: 'type'; readonly at: number; readonly remove: number; readonly insert: string }
  | { readonly does: 'record'; readonly event: EventInput; readonly state: Readonly<Record<string, Json>> }
  | { readonly does: 'say'; readonly message: string }
  | { readonly does: 'checkpoint'; readonly name: string }
);

export interface DemoPlayer {
  readonly player: string;
  readonly name: string;
  readonly steps: readonly DemoStep[];
  readonly finalCode: string;
}

/** An exercise with the slip that its player makes at first. */
interface Exercise {
  readonly id: string;
  readonly concept: string;
  readonly code: string;
  readonly slip: { readonly typed: string; readonly meant: string };
  readonly passingWithSlip: number;
  readonly onFail: string;
  readonly onPass: string;
}

const EXERCISES: readonly [Exercise, ...Exercise[]] = [
  {
    id: 'count_vowels',
    concept: 'loops',
    code: [
      'def count_vowels(text):',
      '    """How many vowels there are in the text."""',
      '    count = 0',
      '    for letter in text.lower():',
      '        if letter in "aeiou":',
      '            count += 1',
      '    return count',
      '',
    ].join('\n'),
    slip: { typed: 'in text:', meant: 'in text.lower():' },
    passingWithSlip: 3,
    onFail: 'capital letters, of course',
    onPass: 'vowels done!',
  },
  {
    id: 'running_total',
    concept: 'lists',
    code: [
      'def running_total(numbers):',
      '    """Sums of the numbers so far, one for each."""',
      '    totals = []',
      '    total = 0',
      '    for number in numbers:',
      '        total += number',
      '        totals.append(total)',
      '    return totals',
      '',
    ].join('\n'),
    slip: { typed: 'append(number)', meant: 'append(total)' },
    passingWithSlip: 1,
    onFail: 'hm, that is just a copy of the list',
    onPass: 'adds up now',
  },
  {
    id: 'is_palindrome',
    concept: 'strings',
    code: [
      'def is_palindrome(phrase):',
      '    """Whether it reads the same backwards, spaces aside."""',
      '    letters = [c.lower() for c in phrase if c.isalpha()]',
      '    return letters == letters[::-1]',
      '',
    ].join('\n'),
    slip: { typed: 'letters[:-1]', meant: 'letters[::-1]' },
    passingWithSlip: 1,
    onFail: 'one colon short, I think',
    onPass: 'never odd or even :)',
  },
  {
    id: 'group_by_length',
    concept: 'dicts',
    code: [
      'def group_by_length(words):',
      '    """A dict from a length to the words that have it."""',
      '    groups = {}',
      '    for word in words:',
      '        groups.setdefault(len(word), []).append(word)',
      '    return groups',
      '',
    ].join('\n'),
    slip: { typed: 'len(words)', meant: 'len(word)' },
    passingWithSlip: 2,
    onFail: 'everything landed in one group?',
    onPass: 'grouped!',
  },
];

const GREETINGS = ['hi!', 'hello, ready?', 'good luck!', 'let us go'] as const;

/** Two players solving an exercise each, the same for the same seed. They take about a minute. */
export function makeDemoSession(seed: number): readonly [DemoPlayer, DemoPlayer] {
  const random = seededRandom(seed);
  const first = pick(random, EXERCISES);
  const others = EXERCISES.filter((exercise) => exercise !== first) as [Exercise, ...Exercise[]];
  return [solve('ann', 'Ann', first, random), solve('bob', 'Bob', pick(random, others), random)];
}

function solve(player: string, name: string, exercise: Exercise, random: Random): DemoPlayer {
  const { id, concept, code, slip, passingWithSlip } = exercise;
  const script = new Script(random);
  const started = { challenge_id: id, tests_total: TESTS_TOTAL, tests_passing: 0 };
  script.say(pick(random, GREETINGS), THINK_MS);
  script.record(EventType.CHALLENGE_START, { challenge_id: id }, started);
  script.checkpoint(`${player}-before-implementation`);
  script.typeOut(code.replace(slip.meant, slip.typed));
  script.runTests(passingWithSlip);
  script.say(exercise.onFail, THINK_MS * 2);
  script.replace(slip.typed, slip.meant);
  script.runTests(TESTS_TOTAL);
  script.checkpoint(`${player}-tests-green`);
  script.record(EventType.CHALLENGE_COMPLETE, { challenge_id: id, success: true }, { challenges_completed: [id] });
  script.record(EventType.CONCEPT_UNLOCK, { concept_id: concept }, {});
  script.record(EventType.MASTERY_LEVEL_UP, { concept_id: concept, level: 1 }, { mastery_levels: { [concept]: 1 } });
  script.say(exercise.onPass, THINK_MS);
  return { player, name, steps: script.steps, finalCode: script.text };
}

/** Writes down what a player does, and keeps the text it leads to. The exercises are ASCII: units are code points. */
class Script {
  readonly steps: DemoStep[] = [];
  text = '';
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  say(message: string, afterMs: number): void {
    this.steps.push({ does: 'say', message, afterMs: this.#gap(afterMs) });
  }

  checkpoint(name: string): void {
    this.steps.push({ does: 'checkpoint', name, afterMs: this.#gap(KEY_GAP_MS) });
  }

  record(type: string, data: Record<string, Json>, state: Record<string, Json>): void {
    this.steps.push({ does: 'record', event: { type, data }, state, afterMs: this.#gap(THINK_MS) });
  }

  runTests(passing: number): void {
    this.record(EventType.TEST_RUN, { tests_total: TESTS_TOTAL }, {});
    const counts = { tests_passing: passing, tests_total: TESTS_TOTAL };
    this.record(passing === TESTS_TOTAL ? EventType.TEST_PASS : EventType.TEST_FAIL, counts, {
      tests_passing: passing,
    });
  }

  /** Types a program: an editor puts in each line's indent with its line end, fingers slip now and then. */
  typeOut(code: string): void {
    for (const [index, line] of code.split('\n').entries()) {
      const indent = /^ */.exec(line)?.[0] ?? '';
      if (index > 0) this.#type(`\n${indent}`, THINK_MS / 2);
      for (const char of line.slice(indent.length)) this.#typeChar(char);
    }
  }

  /** Goes back to where `before` stands and puts `after` in its place. */
  replace(before: string, after: string): void {
    const at = this.text.indexOf(before);
    for (let end = at + before.length; end > at; end--)
      this.#edit(end - 1, 1, '', end === at + before.length ? THINK_MS * 2 : KEY_GAP_MS);
    for (const [index, char] of [...after].entries()) this.#edit(at + index, 0, char, KEY_GAP_MS);
  }

  #typeChar(char: string): void {
    const neighbour = this.#random() < TYPO_RATE ? this.#neighbour(char) : undefined;
    if (neighbour !== undefined) {
      this.#type(neighbour, KEY_GAP_MS);
      this.#edit(this.text.length - 1, 1, '', KEY_GAP_MS * 3);
    }
    this.#type(char, char === ' ' ? KEY_GAP_MS * 1.5 : KEY_GAP_MS);
  }

  #type(insert: string, medianMs: number): void {
    this.#edit(this.text.length, 0, insert, medianMs);
  }

  #edit(at: number, remove: number, insert: string, medianMs: number): void {
    this.steps.push({ does: 'type', at, remove, insert, afterMs: this.#gap(medianMs) });
    this.text = this.text.slice(0, at) + insert + this.text.slice(at + remove);
  }

  #neighbour(char: string): string | undefined {
    const row = KEY_ROWS.find((keys) => keys.includes(char));
    if (!row) return undefined;
    const at = row.indexOf(char);
    return row[at + (this.#random() < 0.5 ? -1 : 1)] ?? row[at - 1] ?? row[at + 1];
  }

  #gap(medianMs: number): number {
    return Math.min(THINK_MS * 4, lognormal(this.#random, medianMs, 0.45));
  }
}
