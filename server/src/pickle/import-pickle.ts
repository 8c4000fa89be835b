import type { ByteSink, ErrorCode, JsonObject, RecordingSummary } from '@gametape/shared';
import { type ImportOptions, importEvents, parseRecordingFields, type RawEvent } from '@gametape/shared/lmsp';
import { PickleFile } from './pickle-file.ts';
import { kindOf, plainValue, unfit } from './plain-value.ts';
import { PickledEventType, PickledObject } from './read-pickle.ts';

/** What the format does not hold: the seed's `import_from` leaves these at their defaults. */
const DEFAULTS = { version: '1.0.0', final_code: '', final_time: 0 };
/** A quarter of a million names. */
const MAX_CHECKPOINT_VALUES = 500_000;

/**
 * Writes what a file of the seed's BinaryFormat holds as a recording (L3): the same as `importLmsp` makes of the JSON that the
 * seed's Python writes of that file. Memory does not grow with it (R6), whatever its size; one pickle may have 64 MiB. `open` is
 * called twice, because the checkpoints come last.
 *
 * Nothing of the file is run: see `checkPickle`.
 *
 * @throws GametapeError `BAD_RECORDING`, `BAD_EVENT`, `BAD_STATE`, `LIMIT_EXCEEDED`, `DAMAGED` when the file is cut off,
 *   `VERSION_UNKNOWN`; naming the event with the field, or the opcode with its byte
 */
export async function importPickle(
  open: () => AsyncIterable<Uint8Array>,
  sink: ByteSink,
  options: ImportOptions,
): Promise<RecordingSummary> {
  const fields = await readFields(open());
  return importEvents(fields, readEvents(open()), sink, options);
}

async function readFields(chunks: AsyncIterable<Uint8Array>) {
  const file = new PickleFile(chunks);
  try {
    await file.readHeader();
    const metadata = plainDict((await file.readPickle('metadata')).value, 'metadata');
    const count = await file.readCount('the number of events');
    for (let index = 0; index < count; index++) await file.skipPickle(`event ${index}`);
    const { value } = await file.readPickle('checkpoints', MAX_CHECKPOINT_VALUES);
    const checkpoints = plainDict(value, 'checkpoints');
    await file.readEnd();
    const { player_id, challenge_id, created_at, duration, success } = metadata;
    const known = { player_id, challenge_id, created_at, duration, success };
    return parseRecordingFields({ ...DEFAULTS, ...known, checkpoints } as JsonObject, count);
  } finally {
    await file.close();
  }
}

async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<RawEvent> {
  const file = new PickleFile(chunks);
  try {
    await file.readHeader();
    await file.skipPickle('metadata');
    const count = await file.readCount('the number of events');
    for (let index = 0; index < count; index++) {
      const { place, value } = await file.readPickle(`event ${index}`);
      const where = `${place.where} at byte ${place.offset}`;
      yield { index, where, value: plainEvent(value, where) };
    }
  } finally {
    await file.close();
  }
}

function plainDict(value: unknown, path: string): JsonObject {
  if (value instanceof Map) return plainValue(value, { code: 'BAD_RECORDING', path }) as JsonObject;
  throw unfit('BAD_RECORDING', path, 'a dict', kindOf(value));
}

/** The seed's `to_dict` of a RecordedEvent. What is missing, or wrong, is for the parsers of L4 to say. */
function plainEvent(value: unknown, where: string): Record<string, unknown> {
  const { timestamp, event, game_state } = fieldsOf(value, 'RecordedEvent', { code: 'BAD_RECORDING', path: where });
  const eventPlace = { code: 'BAD_EVENT', path: `${where}: event` } as const;
  const { type, ...rest } = fieldsOf(event, 'GameEvent', eventPlace);
  if (!(type instanceof PickledEventType)) {
    throw unfit('BAD_EVENT', `${where}: event.type`, 'an EventType', kindOf(type));
  }
  const statePlace = { code: 'BAD_STATE', path: `${where}: game_state` } as const;
  return {
    timestamp: plainValue(timestamp, { code: 'BAD_RECORDING', path: `${where}: timestamp` }),
    event: { type: type.value, ...plainFields(rest, eventPlace) },
    game_state: plainFields(fieldsOf(game_state, 'GameState', statePlace), statePlace),
  };
}

function fieldsOf(value: unknown, name: string, { code, path }: { code: ErrorCode; path: string }) {
  if (!(value instanceof PickledObject) || value.name !== name) throw unfit(code, path, `a ${name}`, kindOf(value));
  return Object.fromEntries(value.fields as ReadonlyMap<string, unknown>);
}

function plainFields(fields: Readonly<Record<string, unknown>>, { code, path }: { code: ErrorCode; path: string }) {
  const entries = Object.entries(fields).map(([name, value]) => [
    name,
    plainValue(value, { code, path: `${path}.${name}` }),
  ]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}
