/** The parts of SDK and relay that no package exports, loaded by address: what is built lies at another depth. */
const { connectOn } = (await load('client-sdk/dist/session.js')) as typeof import('../../client-sdk/dist/session.js');
const { RoomDirectory } = (await load(
  'server/dist/room/room-directory.js',
)) as typeof import('../../server/dist/room/room-directory.js');
const { Session } = (await load(
  'server/dist/session/session.js',
)) as typeof import('../../server/dist/session/session.js');
const { SessionSet } = (await load(
  'server/dist/session/session-set.js',
)) as typeof import('../../server/dist/session/session-set.js');
const { Embargo } = (await load(
  'server/dist/recording/embargo.js',
)) as typeof import('../../server/dist/recording/embargo.js');
const { writeRecording } = (await load(
  'server/dist/recording/write-recording.js',
)) as typeof import('../../server/dist/recording/write-recording.js');
const { finishRecording, finishedSummary } = (await load(
  'server/dist/recording/finish-recording.js',
)) as typeof import('../../server/dist/recording/finish-recording.js');

export type { Platform, Socket } from '../../client-sdk/dist/platform/platform.js';
export type { Peer, PeerReceiver } from '../../server/dist/transport/transport.js';
export { connectOn, Embargo, finishedSummary, finishRecording, RoomDirectory, Session, SessionSet, writeRecording };

function load(path: string): Promise<unknown> {
  return import(new URL(`../../../${path}`, import.meta.url).href);
}
