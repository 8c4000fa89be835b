import { GametapeError } from './errors.ts';

/** What untrusted input may ask for (S2, W11). Listed in DELTA.md and PROTOCOL.md. */
export const LIMITS = {
  /** Longest message on the wire, in bytes; longer ones travel in chunks. */
  messageBytes: 64 * 1024,
  /** Longest message put together from chunks, in bytes. */
  chunkedBytes: 4 * 1024 * 1024,
  /** Size of a state, roughly in bytes (DELTA.md), and of all the text that one delta inserts. */
  stateBytes: 1024 * 1024,
  stateKeys: 256,
  /** Longest state key, in bytes. */
  keyBytes: 64,
  depth: 16,
  /** Nodes of one value: every scalar, array and map counts. */
  nodes: 20_000,
  deltaOps: 4_096,
  /** Event types with their data keys, and state key names, that a vocabulary remembers. */
  vocabulary: 1_024,
  /** Size of the event types and data keys that a vocabulary remembers, in UTF-16 code units. */
  vocabularyUnits: 64 * 1024,
  /** Size of the states of all players of a room together: a block opens with them. */
  roomStateBytes: 16 * 1024 * 1024,
  /** Largest payload of a block, before its codec, in bytes. */
  blockBytes: 24 * 1024 * 1024,
  /** Records in one payload: every producer, keyframe, checkpoint and gap is one. */
  records: 32_768,
  /** Nodes of a summary or another record that grows with the recording. */
  recordNodes: 500_000,
  /** Entries of one block. */
  blockEntries: 131_072,
  /** Blocks of one recording. */
  blocks: 65_536,
  /** Producers of one recording: every SDK instance of every player is one. */
  producers: 8_192,
  /** Named checkpoints of one recording. */
  checkpoints: 8_192,
  /** Size of the names of all checkpoints of a room together, in UTF-16 code units: a sealed block opens with them. */
  checkpointUnits: 256 * 1024,
  /** Epochs of a room whose ends are remembered: clients with a position of an earlier one join afresh. */
  epochEnds: 64,
  /** Gaps that one recording states. */
  gaps: 16_000,
  /** Pauses of one recording; time goes on through later ones. */
  pauses: 65_536,
  /** Newest events that pause or resume, among which one that comes late finds its place. */
  pauseChanges: 1_024,
} as const;

const ID = /^[A-Za-z0-9_-]{1,64}$/;

/** Room, player and recording ids (S1). They may become part of a path, so nothing else is allowed in them. */
export function isId(text: unknown): text is string {
  return typeof text === 'string' && ID.test(text);
}

/** What is written has to stay what readers take. @throws GametapeError `LIMIT_EXCEEDED` */
export function refuseMore(what: string, count: number, limit: number): void {
  if (count > limit) throw new GametapeError('LIMIT_EXCEEDED', `block: ${count} ${what}, allowed are ${limit}`);
}
