import type { Bench } from './support/bench.ts';
import { number, printTable, ratio, verdict } from './support/print.ts';
import { startRelayProcess } from './support/server-process.ts';
import { mean, percentile } from './support/statistics.ts';
import { loadTraces } from './support/traces.ts';
import { measureDownstream } from './support/wire-down.ts';
import { type JsonPeers, type Keystroke, measureKeystrokes } from './support/wire-up.ts';

/** Texts from this length on are what the goal is about, in characters. */
const LONG_TEXT = 30 * 1024;
const GOALS = { p50: 16, p99: 32 };

export const wire: Bench = {
  name: 'wire',
  about: 'bytes on the wire per keystroke, one keystroke a message, against JSON with states',
  run: async (options) => {
    const traces = await loadTraces(options);
    const relay = await startRelayProcess();
    try {
      for (const { name, trace } of traces) {
        const keystrokes = await measureKeystrokes(relay.wsUrl, `wire-${name}`, trace);
        printKeystrokes(`${name}: upstream, ${number(keystrokes.length)} keystrokes`, keystrokes);
        const long = keystrokes.filter(({ textLength }) => textLength >= LONG_TEXT);
        if (long.length === 0) continue;
        printKeystrokes(`${name}: of these ${number(long.length)} in a text of 30 KB and more`, long);
        const keys = long.filter(({ isOneKey }) => isOneKey);
        printKeystrokes(`${name}: of these ${number(keys.length)} that are one key, nothing pasted or completed`, keys);
      }
      const down = await measureDownstream(relay.wsUrl, traces);
      printTable(
        `downstream: all of them in one room, ten times as fast as people type, ${number(down.events)} events`,
        [
          ['bytes an event', 'bodies', 'around them', 'events a message'],
          ...(
            [
              ['to a player', down.player],
              ['to a spectator', down.spectator],
            ] as const
          ).map(([name, received]) => {
            const { bytes, bodyBytes, events, messages } = received;
            return [name, number(bodyBytes / events), number((bytes - bodyBytes) / events), number(events / messages)];
          }),
        ],
      );
    } finally {
      await relay.stop();
    }
  },
};

function printKeystrokes(title: string, keystrokes: readonly Keystroke[]): void {
  const bodies = keystrokes.map(({ bodyBytes }) => bodyBytes);
  const sampled = keystrokes.filter(({ peers }) => peers !== undefined);
  const row = (name: string, values: readonly number[]) => {
    const [p50, p99] = [percentile(values, 0.5), percentile(values, 0.99)];
    return [name, number(p50), number(p99), number(Math.max(...values)), number(mean(values))];
  };
  const peer = (name: string, pick: (peers: JsonPeers) => number) => {
    const values = sampled.flatMap(({ peers }) => (peers ? [pick(peers)] : []));
    // Of the same keystrokes, or a paste that only one side has would decide.
    const ours = mean(sampled.map(({ messageBytes }) => messageBytes));
    return [...row(name, values), ratio(ours, mean(values))];
  };
  const [p50, p99] = [percentile(bodies, 0.5), percentile(bodies, 0.99)];
  const goals = [`p50 ${verdict(p50, { atMost: GOALS.p50 })}`, `p99 ${verdict(p99, { atMost: GOALS.p99 })}`];
  printTable(title, [
    ['bytes', 'p50', 'p99', 'max', 'mean', 'our message / this'],
    [...row('delta and event together', bodies), '', goals.join(', ')],
    row(
      'whole message',
      keystrokes.map(({ messageBytes }) => messageBytes),
    ),
    peer('JSON: event and edits', ({ edits }) => edits),
    peer('JSON: event and changed keys', ({ changedKeys }) => changedKeys),
    peer('JSON: event and full state', ({ fullState }) => fullState),
  ]);
}
