import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { createdDate, GametapeError, isJsonObject, type Json, located, type PlayerSummary } from '@gametape/shared';
import { readLmspFields } from '@gametape/shared/lmsp';
import type { RecordingInfo } from './recording-info.ts';

/**
 * What a `.lmsp.gz` file says of itself. It has no index: all of it is read, in bounded memory.
 *
 * @throws GametapeError `NOT_FOUND`, `BAD_RECORDING`
 */
export async function compressedInfo(path: string, recordingId: string): Promise<RecordingInfo> {
  const bytes = await sizeOf(path);
  const file = createReadStream(path);
  const text = file.pipe(createGunzip());
  file.on('error', (error) => text.destroy(error));
  try {
    const { fields, eventCount } = await readLmspFields(text);
    return {
      format: 'lmsp.gz',
      version: fields.version,
      recordingId,
      room: textOf(fields.room),
      profile: textOf(fields.profile),
      createdAt: createdDate(fields.created_at).toISOString(),
      durationS: fields.duration,
      finished: true,
      complete: fields.complete === true,
      players: playersOf(fields.players),
      events: eventCount,
      checkpoints: [],
      blocks: 0,
      bytes,
    };
  } catch (error) {
    if (error instanceof GametapeError) throw located(path, error);
    throw new GametapeError('BAD_RECORDING', `${path}: ${(error as Error).message}`, { cause: error });
  } finally {
    file.destroy();
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (cause) {
    throw new GametapeError('NOT_FOUND', `${path}: there is no such file`, { cause });
  }
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** What our own writer put there; anything else tells of no players. */
function playersOf(value: Json | undefined): PlayerSummary[] {
  if (!Array.isArray(value)) return [];
  return value.filter((player: Json) => isJsonObject(player) && typeof player.id === 'string') as PlayerSummary[];
}
