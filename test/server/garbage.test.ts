import { connect as connectTcp, type Socket } from 'node:net';
import { deflateRawSync } from 'node:zlib';
import { CloseCode, chunked, decodeUpMessage, encodeMessage, LIMITS, MessageByte } from '@gametape/shared';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { bystanders, expectRefusal, watchFaults } from '../support/bystanders.ts';
import { bodyOf, helloOf, messageBody, RawClient } from '../support/raw-client.ts';
import type { TestRelay } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { waitFor, within } from '../support/wait-for.ts';

watchFaults();

describe('bytes that are no message', () => {
  test('[W11] random bytes close that one connection with a reason', async () => {
    const { relay, check, errors } = await bystanders();
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    for (let i = 0; i < 150; i++) {
      const bytes = Uint8Array.from({ length: 1 + Math.floor(random() ** 3 * 2_000) }, () =>
        Math.floor(random() * 256),
      );
      if (i % 3 === 0) bytes[0] = MessageByte.hello;
      const client = await RawClient.open(relay.wsUrl);
      client.sendBytes(bytes);
      expectRefusal(await client.end(), `seed ${seed}, message ${i}`);
    }
    expect(errors).toEqual([]);
    await check();
  });

  test('[W11] so do random bytes of a player that has joined', async () => {
    const { relay, check, errors } = await bystanders();
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const kinds = [0x02, 0x04, 0x05, 0x06, 0x07, 0x0f, 0x40, 0x41, 0x42, 0x43];
    for (let i = 0; i < 60; i++) {
      const client = await RawClient.join(relay.wsUrl, { room: 'other', player: `p${i % 5}`, instance: `i${i}` });
      for (let sent = 0; sent < 30; sent++) {
        const bytes = Uint8Array.from({ length: 1 + Math.floor(random() ** 3 * 300) }, () =>
          Math.floor(random() * 256),
        );
        bytes[0] = kinds[Math.floor(random() * kinds.length)] as number;
        // One in some thousand is a leave or an end that is right.
        if (!isGoodbye(bytes)) client.sendBytes(bytes);
      }
      client.sendBytes(Uint8Array.of(0xff));
      expectRefusal(await client.end(), `seed ${seed}, player ${i}`);
    }
    expect(errors).toEqual([]);
    await check();
  });

  test('[W11] every truncation of a valid message is refused or is another valid one', async () => {
    const { relay, check, errors } = await bystanders();
    const hello = encodeMessage(
      helloOf({ room: 'other', state: bodyOf({ change: { form: 'keyframe', entries: [['a', 1]] } }) }),
    );
    const messages: Record<string, Uint8Array> = {
      'events-up': encodeMessage({
        kind: 'events-up',
        firstPseq: 1,
        shown: 1,
        events: [1, 2, 3].map((i) => ({ stampDelta: i * 137, body: messageBody(`text ${i}`) })),
      }),
      pong: encodeMessage({ kind: 'pong', id: 1, received: 2 ** 40, sent: 2 ** 40 + 1 }),
      gap: encodeMessage({ kind: 'gap', firstPseq: 1, lastPseq: 300, reason: 'why' }),
      end: encodeMessage({ kind: 'end', lastPseq: 1_000, outcome: { won: true, list: [1, 'two', null] } }),
    };
    for (let length = 0; length < hello.length; length++) {
      const client = await RawClient.open(relay.wsUrl);
      client.sendBytes(hello.subarray(0, length));
      const first = await Promise.race([client.end(), client.next('welcome').catch(() => undefined)]);
      // Cut right behind its map, a hello is one without a state, which this profile allows.
      if (first && 'kind' in first) await client.vanish();
      else expectRefusal(first as { code: number; reason: string }, `hello cut at ${length}`);
    }
    for (const [name, bytes] of Object.entries(messages)) {
      for (let length = 0; length < bytes.length; length++) {
        const client = await RawClient.join(relay.wsUrl, { room: `cut-${name}`, player: 'p', instance: `${length}` });
        client.sendBytes(bytes.subarray(0, length));
        expectRefusal(await client.end(), `${name} cut at ${length}`);
      }
    }
    expect(errors).toEqual([]);
    await check();
  });

  const huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
  test('[W11] what only looks like a hello is refused before anything is allocated', async () => {
    const cases: [string, number[]][] = [
      ['nothing at all', []],
      ['an unknown kind', [0x33]],
      ['a message of a relay', [0x81]],
      ['a hello of a huge map', [0x01, 0xdf, 0xff, 0xff, 0xff, 0xff]],
      ['a hello of a huge array', [0x01, 0xdd, 0xff, 0xff, 0xff, 0xff]],
      ['a hello of a huge text', [0x01, 0xdb, 0xff, 0xff, 0xff, 0xff]],
      ['a hello of bin', [0x01, 0xc6, 0xff, 0xff, 0xff, 0xff]],
      ['a hello with an extension', [0x01, 0x81, 0xa1, 0x61, 0xd4, 0x00, 0x00]],
      ['a hello with byte C1', [0x01, 0x81, 0xa1, 0x61, 0xc1]],
      ['a hello of invalid UTF-8', [0x01, 0x81, 0xa2, 0xff, 0xfe, 0x00]],
      ['a hello nested without end', [0x01, ...new Array<number>(1_000).fill(0x91)]],
      ['an empty chunk', [0x0f, 0x01]],
      ['a chunk with a bad mark', [0x0f, 0x02, 0x00]],
    ];
    const { relay, check, errors } = await bystanders();
    for (const [name, bytes] of cases) {
      const client = await RawClient.open(relay.wsUrl);
      client.sendBytes(Uint8Array.from(bytes));
      expectRefusal(await client.end(), name);
    }
    expect(errors).toEqual([]);
    await check();
  });

  test('[W11] bad messages of a player are refused', async () => {
    const cases: [string, number[]][] = [
      ['events of a huge number', [0x40, ...huge, 0x01]],
      ['an event number 0', [0x41, 0x00, 0x00, 0x04]],
      ['a huge count of events', [0x40, 0x01, ...huge]],
      ['a body longer than the message', [0x40, 0x01, 0x01, 0x00, ...huge]],
      ['an empty body', [0x41, 0x01, 0x00]],
      ['a gap that ends before it starts', [0x04, 0x05, 0x04, 0x00]],
      ['a pong with something behind it', [0x02, 0x01, 0x01, 0x01, 0x01]],
      ['a number of nine bytes', [0x05, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]],
      ['an end that is no map', [0x06, 0x00, 0x01]],
      ['an end with __proto__', [0x06, 0x00, 0x81, 0xa9, ...Buffer.from('__proto__'), 0x80]],
      ['a second hello', [...encodeMessage(helloOf())]],
    ];
    const { relay, check, errors } = await bystanders();
    for (const [name, bytes] of cases) {
      const client = await RawClient.join(relay.wsUrl, { player: 'bad' });
      client.sendBytes(Uint8Array.from(bytes));
      expectRefusal(await client.end(), name);
    }
    expect(errors).toEqual([]);
    await check();
  });

  test('[W11] after a bad message nothing more of that peer is heard', async () => {
    const { relay, check } = await bystanders();
    const early = await RawClient.open(relay.wsUrl);
    early.sendBytes(Uint8Array.of(0xff));
    early.hello({ player: 'early' });
    await early.end();
    const late = await RawClient.join(relay.wsUrl, { player: 'late' });
    late.sendBytes(Uint8Array.of(0xff));
    late.events(1, ['from the grave']);
    await late.end();
    const again = await RawClient.join(relay.wsUrl, { player: 'late' });
    expect(again.welcome.lastPseq).toBe(0);
    expect(again.welcome.players.map(({ id }) => id)).not.toContain('early');
    await again.vanish();
    await check();
  });

  test('[W11] chunks of chunks of chunks are refused at once', async () => {
    const { relay, check, errors } = await bystanders();
    const client = await RawClient.join(relay.wsUrl, { player: 'bad' });
    const nested = new Uint8Array(1_000_000);
    for (let i = 0; i < nested.length; i += 2) nested.set([0x0f, 0x01], i);
    const before = process.cpuUsage();
    for (const part of chunked(nested)) client.sendBytes(part);
    expectRefusal(await client.end());
    // Of the work that it makes: how long it takes is up to whoever else has the machine.
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1_000).toBeLessThan(2_000);
    expect(errors).toEqual([]);
    await check();
  });
});

describe('frames that are no messages', () => {
  test('[W11] text is refused', async () => {
    const { relay, check } = await bystanders();
    const client = await RawClient.open(relay.wsUrl);
    client.socket.send('{"kind":"hello"}');
    expect(await client.end()).toEqual({ code: CloseCode.BAD_MESSAGE, reason: expect.stringMatching(/found text/) });
    await check();
  });

  test('[S2] a message over the limit is refused, one at the limit is not', async () => {
    const { relay, check } = await bystanders();
    const client = await RawClient.join(relay.wsUrl, { player: 'big' });
    const bytes = new Uint8Array(LIMITS.messageBytes - 2);
    client.send({ kind: 'chunk', last: false, bytes });
    client.sendBytes(new Uint8Array(LIMITS.messageBytes + 1));
    expect(await client.end()).toMatchObject({ code: 1009 });
    await check();
  });

  test('[W11] a few fragments are a message, endless ones are refused', async () => {
    const { relay, check } = await bystanders();
    const client = await RawClient.open(relay.wsUrl);
    const hello = encodeMessage(helloOf({ player: 'slices' }));
    const third = Math.ceil(hello.length / 3);
    for (const [i, fin] of [false, false, true].entries())
      client.socket.send(hello.subarray(i * third, (i + 1) * third), { fin });
    await client.next('welcome');
    for (let i = 0; i < 200 && !client.isClosed; i++) client.socket.send(new Uint8Array(0), { fin: false });
    expect(await client.end()).toMatchObject({ code: 1008 });
    await check();
  });

  test('[W11] bad frames end that socket alone', async () => {
    const cases: [string, number[]][] = [
      ['an unmasked frame', [0x82, 0x01, 0x00]],
      ['reserved bits', [0xf2, 0x81, 0, 0, 0, 0, 0]],
      ['an unknown opcode', [0x83, 0x81, 0, 0, 0, 0, 0]],
      ['a length of 2^63', [0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]],
      ['a long control frame', [0x89, 0xfe, 0x01, 0x00, 0, 0, 0, 0]],
      ['a close of one byte', [0x88, 0x81, 0, 0, 0, 0, 3]],
    ];
    const { relay, check } = await bystanders();
    for (const [name, bytes] of cases) {
      const socket = await upgraded(relay);
      const ended = new Promise((resolve) => socket.once('close', resolve));
      socket.write(Uint8Array.from(bytes));
      await within(`the socket to be closed after ${name}`, ended);
    }
    await check();
  });

  test('[W11] an offer of compression is not taken, and a compressed frame ends that socket alone', async () => {
    const { relay, check } = await bystanders();
    const client = new WebSocket(relay.wsUrl, 'gametape.v1', { perMessageDeflate: true });
    onTestFinished(() => client.terminate());
    await within('the socket to open', new Promise((resolve) => client.once('open', resolve)));
    expect(client.extensions).toBe('');
    const bomb = deflateRawSync(Buffer.alloc(32 * 1024 * 1024));
    const socket = await upgraded(relay);
    const ended = new Promise((resolve) => socket.once('close', resolve));
    // Final, compressed and binary, with a mask of zeros.
    socket.write(Uint8Array.from([0xc2, 0xfe, bomb.length >> 8, bomb.length & 255, 0, 0, 0, 0, ...bomb]));
    await within('the socket to be closed', ended);
    await check();
  });

  test('[W11] bytes one by one are the same message', async () => {
    const { relay, check } = await bystanders();
    const socket = await upgraded(relay);
    const hello = encodeMessage(helloOf({ player: 'slow' }));
    const frame = [0x82, 0xfe, hello.length >> 8, hello.length & 255, 0, 0, 0, 0, ...hello];
    if (hello.length < 126) frame.splice(1, 3, 0x80 | hello.length);
    for (const byte of frame) {
      socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await waitFor('the player to be there', async () => {
      return (await relay.room('arena'))?.players.some(({ id }) => id === 'slow');
    });
    socket.destroy();
    await check();
  });
});

function isGoodbye(bytes: Uint8Array): boolean {
  try {
    return ['leave', 'end'].includes(decodeUpMessage(bytes).kind);
  } catch {
    return false;
  }
}

/** A socket after the handshake, for frames that no library makes. */
async function upgraded(relay: TestRelay): Promise<Socket> {
  const socket = connectTcp(relay.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  const key = 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==';
  const lines = [
    'GET / HTTP/1.1',
    'Host: x',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    key,
  ];
  socket.write(`${[...lines, 'Sec-WebSocket-Protocol: gametape.v1'].join('\r\n')}\r\n\r\n`);
  await within('the upgrade', new Promise((resolve) => socket.once('data', resolve)));
  socket.resume();
  return socket;
}
