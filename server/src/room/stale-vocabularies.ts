import type { Vocabulary } from '@gametape/shared';

/** So many rewinds may be on their way to a player before what it made meanwhile cannot be read any more (T8). */
const REMEMBERED_REWINDS = 8;

/** Remembers what events know that go on from an older base: more than the profile does, or nothing is remembered. */
export function rememberStale(vocabularies: Map<number, Vocabulary>, base: number, vocabulary: Vocabulary): void {
  if (vocabulary.learnedTemplates.length > 0) vocabularies.set(base, vocabulary);
  const [oldest] = vocabularies.keys();
  if (vocabularies.size > REMEMBERED_REWINDS) vocabularies.delete(oldest as number);
}
