export {
  EventType,
  GametapeError,
  isGametapeError,
  type SessionSummary,
  type SpectatorCount,
  type State,
} from '@gametape/shared';
export type * from './api.ts';
export { HttpSource, type HttpSourceOptions } from './platform/http-source.ts';
export type { TapeSource } from './platform/platform.ts';
export type { RecorderInput, RecorderOptions, RecorderOutcome } from './recorder.ts';
export type { EdgeFollower, Reel, ReelCursor, ReelEdge, ReelStates, ReelStep } from './reel.ts';
export { Replay, type ReplayOptions } from './replay.ts';
export type { ReplayClock } from './replay-clock.ts';
