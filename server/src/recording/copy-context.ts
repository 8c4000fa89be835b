import {
  ByteReader,
  ByteWriter,
  type ProducerContext,
  type ProducerRecord,
  type Profile,
  readKeyframe,
  writeKeyframe,
} from '@gametape/shared';

/** A context that later entries of the original do not reach, of another producer if one is named. */
export function copyContext(
  context: ProducerContext,
  profile: Profile,
  identity: ProducerRecord = context,
): ProducerContext {
  const writer = new ByteWriter(1_024);
  writeKeyframe(writer, context);
  return readKeyframe(new ByteReader(writer.bytes(), 'DAMAGED'), profile, () => identity);
}

/** Contexts in an order in which the latest of each player comes last: its state is the player's. */
export function latestLast(
  contexts: Iterable<ProducerContext>,
  latest: ReadonlyMap<string, number>,
): ProducerContext[] {
  const isLatest = ({ player, index }: ProducerContext) => latest.get(player) === index;
  const byIndex = [...contexts].sort((a, b) => a.index - b.index);
  return [...byIndex.filter((context) => !isLatest(context)), ...byIndex.filter(isLatest)];
}
