import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { openRecording, Recorder, type State, type Tape } from '@gametape/client-sdk';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../support/seeded-random.ts';

const DATA = fileURLToPath(new URL('../../../shared/data', import.meta.url));
const TRACES = ['clownschool_flat', 'friendsforever_flat', 'rustcode'] as const;
const SEEKS = 400;

const missing = TRACES.filter((name) => !existsSync(join(DATA, `${name}.json.gz`)));
if (missing.length > 0) console.warn(`SKIPPED: real editing sessions are not there: ${missing.join(', ')}`);

interface Trace {
  readonly startContent?: string;
  readonly txns: readonly { readonly patches: readonly (readonly [at: number, remove: number, insert: string])[] }[];
}

describe.skipIf(missing.length > 0)('seeking in real editing sessions', () => {
  test.each(TRACES)(
    `[V3] ${SEEKS} random times of %s show what playing up to them shows`,
    async (name) => {
      const tape = await openRecording(await record(name));
      const random = seededRandom(7);
      const times = Array.from({ length: SEEKS }, () => random() * tape.duration).sort((a, b) => a - b);
      const played = await playTo(tape, times);
      for (const index of shuffled(times.length, random)) {
        const sought = (await tape.statesAt(times[index] as number)).get(name);
        // Compared as texts first: a matcher takes long over a thousand long states.
        if (JSON.stringify(sought) !== JSON.stringify(played[index])) expect(sought).toEqual(played[index]);
      }
      // To the end, back to the start, and again.
      const again = await playTo(tape, times);
      expect(JSON.stringify(again)).toBe(JSON.stringify(played));
      expect((await tape.statesAt(0)).get(name)).toEqual((await playTo(tape, [0]))[0]);
      const end = tape.duration + 1;
      expect((await tape.statesAt(end)).get(name)).toEqual((await playTo(tape, [end]))[0]);
    },
    180_000,
  );
});

/** One player types a trace, in a room of a game that is not LMSP. */
async function record(player: string): Promise<Uint8Array> {
  const trace = JSON.parse(gunzipSync(await readFile(join(DATA, `${player}.json.gz`))).toString()) as Trace;
  const recorder = new Recorder({ profile: 'json', player });
  let code = trace.startContent ?? '';
  let edits = 0;
  recorder.start();
  recorder.setState({ code, edits });
  for (const [at, remove, insert] of trace.txns.flatMap(({ patches }) => patches)) {
    code = code.slice(0, at) + insert + code.slice(at + remove);
    recorder.record({ type: 'keystroke', data: { char: insert, modifiers: [] } }, { code, edits: ++edits });
  }
  return await recorder.toBytes();
}

/** The only player's state at each of the times, which are in order, by playing all from the start. */
async function playTo(tape: Tape, times: readonly number[]): Promise<(State | undefined)[]> {
  // A state is only made where it is needed: these texts are long.
  const needed = new Set<number>();
  const lastEvents = await lastEventsBefore(tape, times);
  for (const index of lastEvents) needed.add(index);
  const states = new Map<number, State>();
  for await (const event of tape.events()) if (needed.has(event.index)) states.set(event.index, event.state);
  return lastEvents.map((index) => states.get(index));
}

/** Index of the last event up to each of the times, -1 if there is none. */
async function lastEventsBefore(tape: Tape, times: readonly number[]): Promise<number[]> {
  const found: number[] = [];
  let last = -1;
  for await (const { index, time } of tape.events()) {
    while (found.length < times.length && time > (times[found.length] as number)) found.push(last);
    last = index;
  }
  while (found.length < times.length) found.push(last);
  return found;
}

function shuffled(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  return order.sort(() => random() - 0.5);
}
