/**
 * What the benches measure and no package exports: the bots' typing, and the parts of the SDK that make bodies and open
 * sockets. Loaded by address, because the sources and what they are built into lie at different depths.
 */
const { loadTrace, typingGaps } = (await load(
  'server/dist/cli/trace.js',
)) as typeof import('../../server/dist/cli/trace.js');
const { typeTrace, typistState } = (await load(
  'server/dist/cli/typist.js',
)) as typeof import('../../server/dist/cli/typist.js');
const { Typewriter } = (await load(
  'server/dist/cli/typewriter.js',
)) as typeof import('../../server/dist/cli/typewriter.js');
const { seededRandom } = (await load(
  'server/dist/cli/seeded-random.js',
)) as typeof import('../../server/dist/cli/seeded-random.js');
const { makeDemoSession } = (await load(
  'server/dist/cli/demo-session.js',
)) as typeof import('../../server/dist/cli/demo-session.js');
const { relayBody } = (await load(
  'server/dist/room/relay-bodies.js',
)) as typeof import('../../server/dist/room/relay-bodies.js');
const { RoomJournal } = (await load(
  'server/dist/room/room-journal.js',
)) as typeof import('../../server/dist/room/room-journal.js');
const { Producer, stampOf } = (await load(
  'client-sdk/dist/producer.js',
)) as typeof import('../../client-sdk/dist/producer.js');
const { connectOn } = (await load('client-sdk/dist/session.js')) as typeof import('../../client-sdk/dist/session.js');
const { spectateOn } = (await load(
  'client-sdk/dist/spectator.js',
)) as typeof import('../../client-sdk/dist/spectator.js');
const { openTape } = (await load('client-sdk/dist/tape.js')) as typeof import('../../client-sdk/dist/tape.js');
const { NODE } = (await load(
  'client-sdk/dist/platform/node.js',
)) as typeof import('../../client-sdk/dist/platform/node.js');

export type { Platform, Socket } from '../../client-sdk/dist/platform/platform.js';
export type { Random } from '../../server/dist/cli/seeded-random.js';
export type { Trace, TraceEdit } from '../../server/dist/cli/trace.js';
export {
  connectOn,
  loadTrace,
  makeDemoSession,
  NODE,
  openTape,
  Producer,
  RoomJournal,
  relayBody,
  seededRandom,
  spectateOn,
  stampOf,
  Typewriter,
  typeTrace,
  typingGaps,
  typistState,
};

function load(path: string): Promise<unknown> {
  return import(new URL(`../../../${path}`, import.meta.url).href);
}
