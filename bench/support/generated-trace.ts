import { seededRandom, type Trace, type TraceEdit } from './private-parts.ts';

const WORDS = [
  'let',
  'count',
  'value',
  'return',
  'while',
  'index',
  'player',
  '=',
  '+',
  '(total)',
  'if',
  'for',
  'in',
  'range:',
];
const BACKSPACE_RATE = 0.06;
const JUMP_RATE = 0.004;
const LINE_RATE = 0.12;

/** Words typed letter by letter, some of it taken back, now and then somewhere else in the text. */
export function generatedTrace(seed: number, count: number): Trace {
  const random = seededRandom(seed);
  const edits: TraceEdit[] = [];
  let length = 0;
  let cursor = 0;
  let waiting = '';
  while (edits.length < count) {
    if (random() < JUMP_RATE) cursor = Math.floor(random() * (length + 1));
    if (cursor > 0 && random() < BACKSPACE_RATE) {
      edits.push({ at: --cursor, remove: 1, insert: '', timeMs: 0 });
      length--;
      continue;
    }
    if (waiting === '') waiting = `${WORDS[Math.floor(random() * WORDS.length)]}${random() < LINE_RATE ? '\n' : ' '}`;
    edits.push({ at: cursor++, remove: 0, insert: waiting.charAt(0), timeMs: 0 });
    waiting = waiting.slice(1);
    length++;
  }
  return { path: 'generated', startContent: '', endContent: undefined, edits };
}
