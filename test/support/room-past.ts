import { NODE_COMPRESSION } from '@gametape/server';
import {
  BLOCK_HEADER_BYTES,
  decodeBlockHeader,
  type EventBlock,
  type FragmentRow,
  ProducerContext,
  RecordingIdentity,
  readEventBlock,
  type State,
} from '@gametape/shared';
import { expect } from 'vitest';
import type { TestRelay } from './relay.ts';

/** What `sync` answers, as PROTOCOL.md has it. */
export interface Synced {
  readonly recordingId: string;
  readonly room: string;
  readonly profile: string;
  readonly epoch: number;
  readonly createdAt: number;
  readonly roomTime: number;
  readonly delayMs: number;
  readonly holdMs: number;
  readonly headSeq: number;
  readonly pauses: readonly (readonly [number, number])[];
  readonly paused?: { readonly since: number; readonly players: readonly string[] };
  readonly changes: readonly (readonly [time: number, player: string, isPause: boolean])[];
  readonly players: readonly { readonly id: string; readonly connected: boolean }[];
  readonly producers: readonly { readonly index: number; readonly player: string; readonly instance: string }[];
  readonly checkpoints: readonly { readonly name: string; readonly seq: number; readonly time: number }[];
  readonly fragments: readonly FragmentRow[];
  readonly tail: Pick<FragmentRow, 'name' | 'firstSeq' | 'lastSeq' | 'startTime'>;
}

type Host = Pick<TestRelay, 'get'>;

export async function syncOf(relay: Host, room: string, query = ''): Promise<Synced> {
  const response = await relay.get(`/v1/rooms/${room}/sync${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as Synced;
}

/** The bytes of a fragment or tail, undefined where it is not there. */
export async function fragmentBytes(relay: Host, recordingId: string, name: string): Promise<Uint8Array | undefined> {
  const response = await relay.get(`/v1/recordings/${recordingId}/fragments/${name}`);
  if (response.status === 404) return undefined;
  expect(response.status).toBe(200);
  expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  expect(response.headers.get('content-type')).toBe('application/octet-stream');
  expect(response.headers.get('access-control-allow-origin')).toBe('*');
  return new Uint8Array(await response.arrayBuffer());
}

/** Read alone, by the reader of recordings: nothing else of the room is known. */
export function readFragment(bytes: Uint8Array): EventBlock {
  const header = decodeBlockHeader(bytes, 0, NODE_COMPRESSION);
  expect(header.selfContained).toBe(true);
  return readEventBlock(header, bytes.subarray(BLOCK_HEADER_BYTES), new RecordingIdentity(), NODE_COMPRESSION);
}

/** Every player's state at the start of a fragment and after all of its entries, by player. */
export function statesOf(bytes: Uint8Array): { start: Map<string, State>; end: Map<string, State> } {
  const identity = new RecordingIdentity();
  const header = decodeBlockHeader(bytes, 0, NODE_COMPRESSION);
  const block = readEventBlock(header, bytes.subarray(BLOCK_HEADER_BYTES), identity, NODE_COMPRESSION);
  const contexts = new Map(block.keyframes().map((context) => [context.index, context]));
  const start = statesNow(contexts);
  for (const entry of block.entries) {
    let context = contexts.get(entry.producer);
    if (!context) {
      const producer = identity.producers.get(entry.producer);
      if (!producer) throw new Error(`entry ${entry.seq} is of producer ${entry.producer}, which nothing declares`);
      context = new ProducerContext(identity.profile, producer);
      contexts.set(entry.producer, context);
    }
    context.advance(entry, 'DAMAGED', NODE_COMPRESSION.crc32);
  }
  return { start, end: statesNow(contexts) };
}

function statesNow(contexts: ReadonlyMap<number, ProducerContext>): Map<string, State> {
  const inOrder = [...contexts.values()].sort((a, b) => a.index - b.index);
  return new Map(inOrder.filter(({ state }) => state.size > 0).map(({ player, state }) => [player, state.toJson()]));
}
