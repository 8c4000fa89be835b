import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { RecordingReader } from '@gametape/shared';
import { DeltaCompressor, type GameState, lmspEvents } from '@gametape/shared/lmsp';
import { ROOT } from './machine.ts';

const SEED = join(ROOT, '..', 'shared', 'seed');

/** The seed's own classes on the events given as lines; says how long its JSON is, and its digest. */
const PYTHON = `
import hashlib, json, sys
sys.path.insert(0, sys.argv[1])
from lmsp_seed import DeltaCompressor, GameEvent, GameState
compressor, digest, length = DeltaCompressor(), hashlib.sha256(), 0
for line in sys.stdin:
    e = json.loads(line)
    item = {
        "timestamp": e["timestamp"],
        "event": GameEvent.from_dict(e["event"]).to_dict(),
        "game_state": compressor.compress(GameState.from_dict(e["game_state"])),
    }
    data = json.dumps(item, separators=(',', ':')).encode()
    digest.update(data)
    length += len(data)
print(json.dumps({"length": length, "digest": digest.hexdigest()}))
`;

/** The events of a recording in the seed's delta form: its DeltaCompressor's result in place of each state. */
export async function* seedDeltaJson(reader: RecordingReader): AsyncGenerator<string> {
  const { meta, summary } = reader;
  const player_id = summary?.players[0]?.id ?? '';
  const head = { version: '1.0.0', player_id, challenge_id: '', created_at: meta.createdAt };
  const checkpoints = Object.fromEntries(reader.checkpoints.map(({ name, eventIndex }) => [name, eventIndex]));
  const duration = reader.durationUs / 1_000_000;
  const tail = { checkpoints, duration, success: false, final_code: '', final_time: 0 };
  yield `${pythonJson(head).slice(0, -1)},"events":[`;
  let separator = '';
  for await (const item of seedDeltaItems(reader)) {
    yield separator + item;
    separator = ',';
  }
  yield `],${pythonJson(tail).slice(1)}`;
}

/** Whether the seed's Python makes the same of the events, byte for byte; undefined where Python or the seed is missing. */
export async function matchesPython(reader: RecordingReader): Promise<boolean | undefined> {
  if (!existsSync(join(SEED, 'lmsp_seed.py'))) return undefined;
  const python = spawn('python3', ['-c', PYTHON, SEED], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    await once(python, 'spawn');
  } catch {
    return undefined;
  }
  const answer = text(python.stdout);
  await pipeline(eventLines(reader), python.stdin);
  const theirs = JSON.parse(await answer) as { length: number; digest: string };
  const digest = createHash('sha256');
  let length = 0;
  for await (const item of seedDeltaItems(reader)) {
    digest.update(item);
    length += item.length;
  }
  return theirs.length === length && theirs.digest === digest.digest('hex');
}

async function* seedDeltaItems(reader: RecordingReader): AsyncGenerator<string> {
  const compressor = new DeltaCompressor();
  for await (const { timestamp, event, game_state } of lmspEvents(reader)) {
    // The reader fills in every field that an LMSP state has.
    const compressed = compressor.compress(game_state as unknown as GameState);
    yield pythonJson({ timestamp, event, game_state: compressed });
  }
}

async function* eventLines(reader: RecordingReader): AsyncGenerator<string> {
  for await (const { timestamp, event, game_state } of lmspEvents(reader))
    yield `${JSON.stringify({ timestamp, event, game_state })}\n`;
}

/** As Python's `json.dumps` writes it: nothing but ASCII. */
function pythonJson(value: object): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
