import {
  type ByteSource,
  type Compression,
  decodeBlockPayload,
  GametapeError,
  isGametapeError,
  linkOf,
  type ProfileName,
  RecordingIdentity,
  type RecordingMeta,
  RecordType,
  readRecords,
  recordingIdBytes,
} from '@gametape/shared';
import { linkName } from '../journal/block-chain.ts';
import { checkBlock, type KnownRecording, loadBlock } from './block-check.ts';
import { type BlockSurvey, type FoundBlock, storedBytes } from './block-survey.ts';

export interface MetaOptions {
  /** For a file in which nothing says it any more. */
  readonly profile?: ProfileName;
  readonly room?: string;
}

/** Where the meta record comes from; `replay` for one that only the replay of the blocks bears out. */
export type MetaSource = 'index' | 'block' | 'replay' | 'options';

const PROFILES = ['lmsp', 'json'] as const satisfies readonly ProfileName[];
const UNKNOWN_ROOM = 'unknown';

/**
 * What the recording is: from its index, else from the first block that says it. Older files say it in their first block
 * alone: without that, the id tells when it was made, and the profile is the one under which the blocks lead to each
 * other's keyframes, if that is so for one alone.
 *
 * @throws GametapeError `DAMAGED` when nothing tells the profile
 */
export async function findMeta(
  source: ByteSource,
  survey: BlockSurvey,
  compression: Compression,
  options: MetaOptions,
): Promise<{ meta: RecordingMeta; source: MetaSource }> {
  if (survey.index) return { meta: survey.index.meta, source: 'index' };
  for (const block of survey.blocks) {
    const meta = metaIn(block, await storedBytes(source, block), compression);
    if (meta) return { meta, source: 'block' };
  }
  const { recordingId } = survey;
  const known = { recordingId, room: options.room ?? UNKNOWN_ROOM, createdAt: createdAt(recordingId) };
  if (options.profile) return { meta: { ...known, profile: options.profile }, source: 'options' };
  const proofs = new Map<ProfileName, number>();
  for (const profile of PROFILES) {
    const count = await countProofs(source, survey.blocks, { ...known, profile }, compression);
    if (count !== undefined) proofs.set(profile, count);
  }
  const [only, other] = [...proofs].filter(([, count]) => count > 0);
  if (only && !other) return { meta: { ...known, profile: only[0] }, source: 'replay' };
  throw new GametapeError('DAMAGED', `${source.name}: no block that is left says which profile its room had`, {
    hint: 'Say it with --profile lmsp or --profile json.',
  });
}

function metaIn({ header }: FoundBlock, bytes: Uint8Array, compression: Compression): RecordingMeta | undefined {
  try {
    const identity = new RecordingIdentity();
    for (const record of readRecords(decodeBlockPayload(header, bytes, compression))) {
      // It is the first record, before anything that relies on it.
      if (record.type !== RecordType.Meta) break;
      identity.learn(record);
      return identity.meta.recordingId === header.recordingId ? identity.meta : undefined;
    }
  } catch (error) {
    if (!isGametapeError(error)) throw error;
  }
  return undefined;
}

/** How often a block leads to the very states that the next one opens with; undefined if one ever does not. */
async function countProofs(
  source: ByteSource,
  blocks: readonly FoundBlock[],
  meta: RecordingMeta,
  compression: Compression,
): Promise<number | undefined> {
  const known: KnownRecording = { meta, producers: new Map() };
  let before = new Map<number, number>();
  let link = '';
  let proofs = 0;
  try {
    for (const block of blocks) {
      const bytes = await storedBytes(source, block);
      const isNext = linkName(block.header.previous) === link;
      const content = loadBlock(block.header, bytes, known, compression);
      for (const { index, state } of content.keyframes()) {
        const hash = isNext ? before.get(index) : undefined;
        if (hash === undefined) continue;
        if (hash !== state.hash(compression.crc32)) return undefined;
        proofs++;
      }
      const { contexts } = checkBlock(block.header, bytes, known, compression);
      const changed = [...contexts.values()].filter(({ state }) => state.size > 0);
      before = new Map(changed.map(({ index, state }) => [index, state.hash(compression.crc32)]));
      link = linkName(linkOf(block.header));
    }
  } catch (error) {
    if (isGametapeError(error)) return undefined;
    throw error;
  }
  return proofs;
}

/** An id begins with its time: 48 bits of milliseconds. Seconds since 1970. */
function createdAt(recordingId: string): number {
  const ms = recordingIdBytes(recordingId)
    .subarray(0, 6)
    .reduce((sum, byte) => sum * 256 + byte, 0);
  return ms / 1_000;
}
