import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ChaosProxy, type ChaosProxyOptions } from './chaos-proxy.ts';
import { waitFor } from './wait-for.ts';

describe('the chaos proxy', () => {
  test('passes bytes both ways, whole and in order', async () => {
    const { client, echoed } = await echoThrough();
    const sent = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251));
    client.write(sent);
    await waitFor('the echo', () => echoed().length === sent.length);
    expect(echoed().equals(sent)).toBe(true);
  });

  test('delays each way by itself', async () => {
    const { client, proxy, echoed } = await echoThrough({ up: { delayMs: 40 }, down: { delayMs: 80 } });
    const roundTrip = async () => {
      const [before, startedAt] = [echoed().length, performance.now()];
      client.write('x');
      await waitFor('the echo', () => echoed().length > before);
      return performance.now() - startedAt;
    };
    expect(await roundTrip()).toBeGreaterThanOrEqual(118);
    proxy.down.delayMs = 0;
    const oneWay = await roundTrip();
    expect(oneWay).toBeGreaterThanOrEqual(39);
  });

  test('jitter keeps the order', async () => {
    const { client, echoed } = await echoThrough({ up: { jitterMs: 20 }, down: { jitterMs: 20 }, seed: 3 });
    for (let i = 0; i < 40; i++) {
      client.write(String.fromCharCode(48 + i));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await waitFor('the echo', () => echoed().length === 40);
    expect(echoed().toString()).toBe(Array.from({ length: 40 }, (_, i) => String.fromCharCode(48 + i)).join(''));
  });

  test('throttles', async () => {
    const { client, echoed } = await echoThrough({ up: { bytesPerSecond: 100_000 } });
    const startedAt = performance.now();
    client.write(Buffer.alloc(20_000));
    await waitFor('the echo', () => echoed().length === 20_000);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(190);
  });

  test('splits into segments of one byte', async () => {
    const { client, arrived, echoed } = await echoThrough({ up: { splits: true } });
    client.write('one byte at a time');
    await waitFor('the echo', () => echoed().length === 18);
    expect(echoed().toString()).toBe('one byte at a time');
    expect(arrived().length).toBeGreaterThan(9);
  });

  test('flips the bits of one byte', async () => {
    const { client, proxy, echoed } = await echoThrough();
    client.write(Buffer.of(0, 1, 2));
    await waitFor('the echo', () => echoed().length === 3);
    proxy.corruptNext(2);
    client.write(Buffer.of(3, 4, 5, 6));
    await waitFor('the echo', () => echoed().length === 7);
    expect([...echoed()]).toEqual([0, 1, 2, 3, 4, 250, 6]);
  });

  test('resets both ends', async () => {
    const { client, proxy, echoed, errors } = await echoThrough();
    client.write('x');
    await waitFor('the echo', () => echoed().length === 1);
    const reset = once(client, 'error') as Promise<[NodeJS.ErrnoException]>;
    proxy.reset();
    expect((await reset)[0].code).toBe('ECONNRESET');
    await waitFor('the target to be told', () => errors().includes('ECONNRESET'));
    expect(proxy.open).toBe(0);
  });

  test('drops silently, one way or both, and tells nobody', async () => {
    const { client, proxy, arrived, echoed } = await echoThrough({ down: { isSilent: true } });
    client.write('a');
    await waitFor('the target to get it', () => Buffer.concat(arrived()).toString() === 'a');
    proxy.down.isSilent = false;
    client.write('b');
    await waitFor('the echo', () => echoed().toString() === 'b');
    proxy.halfOpen();
    client.write('c');
    // What goes over another connection has been through the same event loop.
    const other = await echoThrough({}, proxy);
    other.client.write('d');
    await waitFor('the other echo', () => other.echoed().toString() === 'd');
    expect(Buffer.concat(arrived()).toString()).not.toContain('c');
    expect([client.destroyed, echoed().toString()]).toEqual([false, 'b']);
  });

  test('cuts once the target has got a request: its answer is lost', async () => {
    const { client, proxy, arrived, echoed } = await echoThrough();
    client.write('a');
    await waitFor('the echo', () => echoed().length === 1);
    proxy.cutAfter(4);
    client.on('error', () => {});
    client.write('bcdefg');
    await waitFor('the client to be reset', () => client.destroyed);
    await waitFor('the target to get its part', () => Buffer.concat(arrived()).length >= 5);
    expect(Buffer.concat(arrived()).toString()).toBe('abcde');
    expect(echoed().toString()).toBe('a');
  });
});

interface Echo {
  readonly client: Socket;
  readonly proxy: ChaosProxy;
  /** Pieces that the target has got. */
  arrived(): Buffer[];
  echoed(): Buffer;
  /** Codes of the errors that the target's sockets had. */
  errors(): (string | undefined)[];
}

/** A client of an echo server, through a proxy. */
async function echoThrough(options: ChaosProxyOptions = {}, known?: ChaosProxy): Promise<Echo> {
  const arrived: Buffer[] = [];
  const echoed: Buffer[] = [];
  const errors: (string | undefined)[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code));
    socket.on('data', (bytes) => {
      arrived.push(bytes);
      socket.write(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = known ?? (await ChaosProxy.start((server.address() as AddressInfo).port, options));
  const client = dial({ port: proxy.port, host: '127.0.0.1', noDelay: true });
  client.on('data', (bytes) => echoed.push(bytes));
  await once(client, 'connect');
  onTestFinished(async () => {
    client.destroy();
    if (!known) await proxy.close();
    server.close();
  });
  return {
    client,
    proxy,
    arrived: () => arrived,
    echoed: () => Buffer.concat(echoed),
    errors: () => errors,
  };
}
