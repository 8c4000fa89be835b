import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below those that Linux (32768) and others (49152) hand out, above the one that Redis has by default. */
const FIRST_PORT = 12_000;
const PORTS_PER_WORKER = 2_000;
const worker = Number(process.env.VITEST_POOL_ID ?? 0) % 10;
/** Other runs on the same machine begin elsewhere. */
let next = randomInt(PORTS_PER_WORKER);

/**
 * A free port that the system gives to nobody by itself, and no other worker of vitest either: it stays free until the server
 * that it is for listens on it, and while that one is away to be started again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + worker * PORTS_PER_WORKER + (next++ % PORTS_PER_WORKER);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
