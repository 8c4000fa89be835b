import { canonicalJson, type RecordingReader } from '@gametape/shared';

/** All that a recording says, in JSON. Bodies and unknown records are hexadecimal. */
export async function describeRecording(reader: RecordingReader) {
  const entries: unknown[] = [];
  const unknown: unknown[] = reader.unknown.map(({ type, bytes }) => ['index', type, hex(bytes)]);
  for await (const block of reader.replayBlocks()) {
    for (const { type, bytes } of block.content.unknown) unknown.push(['block', type, hex(bytes)]);
    for (const { entry, body, context } of block.steps()) {
      const { body: encoded, ...place } = entry;
      const stateHash = context.state.size > 0 ? context.state.hash() : null;
      entries.push({ ...place, body: hex(encoded), event: body.event ?? null, stateHash });
    }
  }
  const last = new Map<string, string>();
  for await (const { context } of reader.steps()) last.set(context.player, canonicalJson(context.state.toJson()));
  const { meta, checkpoints, gaps, markers, blocks, summary = null } = reader;
  const producers = [...reader.producers.values()];
  return { meta, producers, checkpoints, gaps, markers, blocks, summary, unknown, entries, lastStates: [...last] };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
