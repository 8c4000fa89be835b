import { PORTABLE_COMPRESSION } from '@gametape/shared';
import type { ConnectOptions, KeptTail, KeptTailsOptions, Live, Session, SpectateOptions, Tape } from './api.ts';
import { BROWSER } from './platform/browser.ts';
import { openInBrowser } from './platform/browser-source.ts';
import type { TapeSource } from './platform/platform.ts';
import { OfflineRecorder, type RecorderOptions } from './recorder.ts';
import { connectOn } from './session.ts';
import { spectateOn } from './spectator.ts';
import { openTape } from './tape.ts';

export * from './index.ts';

/** Joins a room as a player. @throws GametapeError `UNREACHABLE`, `TIMED_OUT`, and whatever the relay refuses with */
export function connect(options: ConnectOptions): Promise<Session> {
  return connectOn(BROWSER, options);
}

/** What earlier sessions left in their spools and no recording can take any more. @throws GametapeError `SPOOL_FAILED` */
export async function keptTails(options: KeptTailsOptions): Promise<KeptTail[]> {
  return await (await import('./spool/kept-tails.ts')).readKeptTails(BROWSER, options);
}

/** Joins a room to watch it. @throws GametapeError `UNREACHABLE`, `TIMED_OUT`, `NOT_FOUND` */
export function spectate(options: SpectateOptions): Promise<Live> {
  return spectateOn(BROWSER, options);
}

/** Opens a recording: a URL, a File or Blob, bytes, or a source of one's own. @throws GametapeError `BAD_RECORDING`, `DAMAGED`, `NOT_FOUND` */
export async function openRecording(source: TapeSource): Promise<Tape> {
  return openTape(openInBrowser(source), PORTABLE_COMPRESSION);
}

/** Records without a relay. */
export class Recorder extends OfflineRecorder {
  constructor(options?: RecorderOptions) {
    super(BROWSER, options);
  }
}
