// A game that keeps a spool, as a process of its own: `node spooled-game.mjs '{"url", "room", "player", "directory", ...}'`.
// Says on stdout what happens to it, one JSON a line, and takes `pause`, `end` and `leave` on stdin. What it has logged is in its spool.
import { openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { connect } from '@gametape/client-sdk';

const options = JSON.parse(process.argv[2]);
const { url, room, player, directory, life, log, flushMs = 0, seed = 1, silent = false } = options;
const file = openSync(log, 'a');

function say(what) {
  writeSync(1, `${JSON.stringify(what)}\n`);
}

let random = seed;
function next() {
  random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
  return random / 2 ** 32;
}

async function join() {
  for (;;) {
    try {
      return await connect({
        url,
        room,
        player,
        profile: 'json',
        state: { text: '' },
        flushMs,
        timeoutMs: 5_000,
        spool: { directory },
      });
    } catch (error) {
      say({ refused: error.code, message: error.message });
      if (error.code !== 'UNREACHABLE' && error.code !== 'TIMED_OUT') throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

let n = 0;
const session = await join();
session.on('error', (error) => say({ error: error.code, message: error.message }));
let connection = 'live';
session.on('status', (status) => {
  if (status.connection === connection) return;
  connection = status.connection;
  if (connection === 'reconnecting') say({ away: n });
});
say({ joined: session.recordingId, spool: session.status.spool });

let isPlaying = !silent;
/** A burst in one turn of the event loop, written down once it is in the spool. */
function play() {
  if (!isPlaying) return;
  const burst = 1 + Math.floor(next() * 6);
  for (let i = 0; i < burst; i++) {
    n++;
    try {
      session.edit('text', { at: 0, remove: n % 7 === 0 ? 3 : 0, insert: `${n} ` });
      const wallMs = Date.now();
      session.record({ type: next() < 0.3 ? `kind ${n % 5}` : 'typed', data: { life, n, wallMs } });
    } catch (error) {
      say({ error: error.code, message: error.message });
      return;
    }
  }
  const last = n;
  setTimeout(() => writeSync(file, `${life} ${last}\n`), flushMs + 1);
  setTimeout(play, next() * 8);
}
play();

createInterface(process.stdin).on('line', async (line) => {
  isPlaying = false;
  if (line === 'pause') {
    setTimeout(() => say({ paused: n }), flushMs + 1);
    return;
  }
  const summary = line === 'end' ? await session.end() : await session.leave();
  say({ done: line, summary, n });
  process.exit(0);
});
