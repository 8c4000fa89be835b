import type { Profile } from '@gametape/shared';
import type { TextMatcher } from './text-matcher.ts';
import type { TextMarks } from './text-trail.ts';
import type { ValueRedactor } from './value-redactor.ts';
import type { Words } from './words.ts';

/** What the first pass has found, and what the second one does with it. */
export interface Redaction {
  readonly profile: Profile;
  readonly words: Words;
  readonly values: ValueRedactor;
  readonly marks: TextMarks;
  /** What is looked for in a text. */
  readonly matcher: TextMatcher;
  /** Whose text has to go. */
  readonly owner: string | undefined;
  /** `producer key` of every text that is ever edited in place: its length must stay. */
  readonly edited: ReadonlySet<string>;
}

export function editedName(producer: number, key: string): string {
  return `${producer} ${key}`;
}
