import { connect as connectTcp, type Socket } from 'node:net';
import { deflateRawSync } from 'node:zlib';
import { connect, type Session } from '@gametape/client-sdk';
import {
  ByteWriter,
  CloseCode,
  chunked,
  encodeMessage,
  encodeValue,
  type Hello,
  type Json,
  LIMITS,
  LMSP_PROFILE,
  MessageByte,
  type UpMessage,
  Vocabulary,
} from '@gametape/shared';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { bodyOf, helloOf, messageBody, RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { waitFor, within } from '../support/wait-for.ts';

/** A room in which two good players see each other, whatever a third one sends. */
interface Bystanders {
  readonly relay: TestRelay;
  readonly errors: unknown[];
  /** Fails unless both still record, see each other and nothing else has come into the recording. */
  check(): Promise<void>;
}

const PROTOTYPE = describeObject(Object.prototype);
let faults: unknown[] = [];
const note = (error: unknown): void => {
  faults.push(error);
};

beforeEach(() => {
  faults = [];
  process.on('uncaughtExceptionMonitor', note);
});

afterEach(() => {
  process.off('uncaughtExceptionMonitor', note);
  expect(faults).toEqual([]);
  expect(describeObject(Object.prototype)).toEqual(PROTOTYPE);
});

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
        client.sendBytes(bytes);
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
    for (const part of chunked(nested)) client.sendBytes(part);
    expectRefusal(await client.end(2_000));
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

describe('messages that lie', () => {
  test('[W11] a hello with fields that are none is refused', async () => {
    const cases: [string, Record<string, unknown>][] = [
      ['no protocols', { protocols: undefined }],
      ['protocols that are text', { protocols: ['1'] }],
      ['NaN as its clock', { clock: Number.NaN }],
      ['an endless clock', { clock: Number.POSITIVE_INFINITY }],
      ['a clock before 0', { clock: -1 }],
      ['a clock that is text', { clock: 'now' }],
      ['an unknown role', { role: 'admin' }],
      ['a role of the prototype', { role: 'constructor' }],
      ['a position that is a list', { resume: [1] }],
      ['a position before 0', { resume: { recordingId: 'x', epoch: -1, seq: 0 } }],
      ['a name that is a number', { name: 5 }],
      ['no room', { room: undefined }],
      ['a room that is a map', { room: {} }],
    ];
    const { relay, check, errors } = await bystanders();
    for (const [name, fields] of cases) {
      const client = await RawClient.open(relay.wsUrl);
      client.sendBytes(helloBytes(fields));
      expectRefusal(await client.end(), name);
    }
    expect(errors).toEqual([]);
    await check();
  });

  test('[W11] keys that reach into every object are refused wherever they are', async () => {
    const { relay, check, errors } = await bystanders();
    let instances = 0;
    for (const key of ['__proto__', 'constructor', 'prototype']) {
      const name = [key.length, ...Buffer.from(key)];
      const text = [0xa0 | key.length, ...Buffer.from(key)];
      const bodies: Record<string, number[]> = {
        // An event of a type of its own, whose data has that key.
        'in data': [0x04, 1, 0x65, 1, ...name, 0xa1, 0x78],
        'inside of data': [0x04, 1, 0x65, 1, 1, 0x61, 0x81, ...text, 0x81, 0xa1, 0x78, 0x01],
        'as a state key': [0x02, 1, 0, ...name, 0x01],
        'inside of a state': [0x02, 1, 0, 1, 0x61, 0x81, ...text, 0x01],
        'as a state key that is not remembered': [0x02, 1, 0xff, 0x7f, ...name, 0x01],
      };
      for (const [where, body] of Object.entries(bodies)) {
        const client = await RawClient.join(relay.wsUrl, { player: 'bad', instance: `i${++instances}` });
        client.send({ kind: 'events-up', firstPseq: 1, events: [{ stampDelta: 0, body: Uint8Array.from(body) }] });
        expectRefusal(await client.end(), where);
        const state = await RawClient.open(relay.wsUrl);
        state.hello({ player: 'bad', instance: `i${++instances}`, state: Uint8Array.from(body) });
        expectRefusal(await state.end(), `${where}, in a hello`);
      }
      const polluting = await RawClient.open(relay.wsUrl);
      const writer = new ByteWriter();
      writer.raw(
        Uint8Array.from([
          MessageByte.hello,
          0x81,
          ...text,
          0x81,
          0xa4,
          ...Buffer.from('role'),
          0xa4,
          ...Buffer.from('host'),
        ]),
      );
      polluting.sendBytes(writer.take());
      expectRefusal(await polluting.end());
    }
    expect(errors).toEqual([]);
    await check();
  });

  test('[L4] what does not fit the LMSP profile is refused, naming it', async () => {
    const relay = await TestRelay.start();
    const good = await connect({ url: relay.wsUrl, room: 'arena', player: 'good' });
    const bad: [body: Parameters<typeof bodyOf>[0], reason: RegExp][] = [
      [{ event: { type: 'teleport', data: {} } }, /^BAD_EVENT: event\.type/],
      [{ change: { form: 'keyframe', entries: [['current_code', 5]] } }, /^BAD_STATE: state\./],
      [{ event: { type: 'player_join', data: { name: 'me' } } }, /^BAD_EVENT: player_join is made by the relay/],
      [{ event: { type: 'player_leave', data: { reason: 'left' } } }, /^BAD_EVENT/],
      [{ event: { type: 'rewind', data: { name: 'x' } } }, /^BAD_EVENT/],
    ];
    for (const [index, [body, expected]] of bad.entries()) {
      const client = await RawClient.open(relay.wsUrl);
      client.hello({ player: 'bad', instance: `bad-${index}`, profile: 'lmsp', state: lmspKeyframe() });
      await client.next('welcome');
      client.send({
        kind: 'events-up',
        firstPseq: 1,
        events: [{ stampDelta: 0, body: bodyOf(body, new Vocabulary(LMSP_PROFILE)) }],
      });
      const { code, reason } = await client.end();
      expect([code, reason]).toEqual([CloseCode.BAD_MESSAGE, expect.stringMatching(expected)]);
    }
    good.say('still here');
    await good.stable();
  });

  test('[L4] [W11] what the SDK is given is refused with the path that is wrong', async () => {
    const relay = await TestRelay.start();
    const session = await connect({ url: relay.wsUrl, room: 'arena', player: 'p', profile: 'json', state: { a: 1 } });
    const state = (value: unknown) => ({ a: 1, deep: [{ b: value }] }) as never;
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    const wrong: [value: unknown, path: string][] = [
      [undefined, 'state.deep[0].b'],
      [() => 1, 'state.deep[0].b'],
      [10n, 'state.deep[0].b'],
      [Number.NaN, 'state.deep[0].b'],
      [new Map(), 'state.deep[0].b'],
      [JSON.parse('{"__proto__": 1}'), 'state.deep[0].b.__proto__'],
    ];
    for (const [value, path] of wrong) {
      expect(errorOf(() => session.setState(state(value)))).toEqual(['BAD_VALUE', expect.stringContaining(path)]);
      const event = () => session.record({ type: 'e', data: { list: [value] } as never });
      expect(errorOf(event)).toEqual(['BAD_VALUE', expect.stringContaining('data.list[0]')]);
    }
    expect(errorOf(() => session.setState(cyclic as never))[0]).toBe('LIMIT_EXCEEDED');
    expect(errorOf(() => session.record({ type: 'player_join' }))[0]).toBe('BAD_EVENT');
    expect(errorOf(() => session.set('x'.repeat(65), 1))[0]).toBe('LIMIT_EXCEEDED');
    expect(session.state).toEqual({ a: 1 });
    session.record({ type: 'fine' }, { a: 2 });
    const summary = await session.end();
    expect((await relay.recording(summary.recordingId)).states.get('p')).toEqual({ a: 2 });
  });

  test('[S2] a state over its limits is refused on both sides', async () => {
    const { relay, check } = await bystanders();
    const session = await connect({ url: relay.wsUrl, room: 'arena', player: 'p', profile: 'json', state: { a: 1 } });
    expect(errorOf(() => session.setState({ text: 'x'.repeat(LIMITS.stateBytes) }))[0]).toBe('LIMIT_EXCEEDED');
    const keys = Object.fromEntries(Array.from({ length: LIMITS.stateKeys + 1 }, (_, i) => [`k${i}`, i]));
    expect(errorOf(() => session.setState(keys))[0]).toBe('LIMIT_EXCEEDED');
    const client = await RawClient.join(relay.wsUrl, { player: 'big' });
    const entries = [['text', 'x'.repeat(LIMITS.stateBytes)]] as [string, Json][];
    const body = bodyOf({ change: { form: 'keyframe', entries } });
    for (const part of chunked(encodeMessage({ kind: 'events-up', firstPseq: 1, events: [{ stampDelta: 0, body }] }))) {
      client.sendBytes(part);
    }
    expect(await client.end()).toEqual({
      code: CloseCode.BAD_MESSAGE,
      reason: expect.stringMatching(/^LIMIT_EXCEEDED/),
    });
    await session.leave();
    await check();
  });

  test('[S4] gaps with long reasons, one after another, fill no block', async () => {
    const { relay, check, errors } = await bystanders();
    const client = await RawClient.join(relay.wsUrl, { player: 'sieve' });
    const reason = 'why '.repeat(15_000);
    // Together more than a block may hold.
    const gaps = Math.ceil(LIMITS.blockBytes / reason.length) + 50;
    for (let pseq = 1; pseq <= gaps; pseq++) client.send({ kind: 'gap', firstPseq: pseq, lastPseq: pseq, reason });
    await client.accepted(gaps, 10_000);
    client.events(gaps + 1, ['still here']);
    await client.stable(gaps + 1);
    expect(errors).toEqual([]);
    await client.vanish();
    await check();
  });

  test('[T5] [S4] a player that lies harms only itself', async () => {
    const cases: [string, UpMessage[]][] = [
      [
        'a gap of everything there could be',
        [{ kind: 'gap', firstPseq: 1, lastPseq: Number.MAX_SAFE_INTEGER, reason: 'x' }],
      ],
      ['stamps far ahead', [event(1, 2 ** 50), event(2, 2 ** 50), event(3, 2 ** 50)]],
      ['stamps as far as they go', Array.from({ length: 20 }, (_, i) => event(i + 1, 2 ** 51 - 1))],
      ['stamps that go backwards', [event(1, 1_000), event(2, -500), event(3, -(2 ** 50))]],
      ['what it cannot have been shown', [event(1, 0, Number.MAX_SAFE_INTEGER), event(2, 0, 10 ** 9)]],
      ['probes it never got', [{ kind: 'pong', id: 999, received: 1, sent: 2 }, event(1, 0)]],
      [
        'probes from the end of time',
        [1, 2, 3].map((id) => ({ kind: 'pong', id, received: 2 ** 52, sent: 2 ** 53 - 1 })),
      ],
      ['a final without an end', [{ kind: 'final', lastPseq: 5 }, event(1, 0)]],
    ];
    const { relay, check, errors } = await bystanders();
    for (const [index, [name, messages]] of cases.entries()) {
      const liar = await RawClient.join(relay.wsUrl, { player: `liar-${index}`, clock: 2 ** 52 });
      for (const message of messages) liar.send(message);
      const last = Math.max(0, ...messages.map((message) => (message.kind === 'events-up' ? message.firstPseq : 0)));
      await waitFor(`an answer to ${name}`, () => liar.isClosed || liar.acks.stable >= last);
      await liar.vanish();
    }
    expect(errors).toEqual([]);
    await check();
  });

  test('[S4] an end that names events that never come delays the end, and says so', async () => {
    const relay = await TestRelay.start({ endTimeoutMs: 200 });
    const client = await RawClient.join(relay.wsUrl);
    client.events(1, ['one']);
    client.send({ kind: 'end', lastPseq: 10 ** 15, outcome: {} });
    const { summary } = await client.next('ended');
    expect(summary).toMatchObject({ complete: false, players: [{ id: 'raw', expected: 10 ** 15, received: 1 }] });
    await relay.recording(summary.recordingId);
  });
});

async function bystanders(): Promise<Bystanders> {
  const errors: unknown[] = [];
  const log = { info: () => {}, warn: () => {}, error: (...args: unknown[]) => errors.push(args) };
  const relay = await TestRelay.start({ log, dropGraceMs: 50 });
  const [a, b] = await Promise.all(['good-a', 'good-b'].map((player) => goodPlayer(relay, player)));
  let checks = 0;
  const check = async (): Promise<void> => {
    const text = `check ${++checks}`;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as [Session, Session][]) {
      const seen = new Promise<void>((resolve) => {
        const off = to.on('player_message', ({ player, data }) => {
          if (player !== from.player || data.message !== text) return;
          off();
          resolve();
        });
      });
      from.say(text);
      await within(`${to.player} to see ${text}`, seen);
      await from.stable();
    }
    const summary = await (a as Session).end();
    const good = summary.players.filter(({ id }) => id.startsWith('good-'));
    expect(good.map(({ expected, received, gaps }) => [expected, received, gaps])).toEqual([
      [1, 1, []],
      [1, 1, []],
    ]);
    await relay.recording(summary.recordingId);
  };
  return { relay, errors, check };
}

async function goodPlayer(relay: TestRelay, player: string): Promise<Session> {
  return await connect({ url: relay.wsUrl, room: 'arena', player, profile: 'json', state: { ok: true } });
}

function event(firstPseq: number, stampDelta: number, shown?: number): UpMessage {
  const events = [{ stampDelta, body: messageBody('lies') }];
  return { kind: 'events-up', firstPseq, ...(shown !== undefined && { shown }), events };
}

function expectRefusal({ code, reason }: { code: number; reason: string }, where = ''): void {
  expect([CloseCode.BAD_MESSAGE, CloseCode.VERSION_UNKNOWN], `${where}: ${code} ${reason}`).toContain(code);
  expect(reason, where).toMatch(/^[A-Z_]+: ./);
  expect(Buffer.byteLength(reason), where).toBeLessThanOrEqual(123);
}

/** A hello with fields of any kind, NaN included. */
function helloBytes(fields: Record<string, unknown>): Uint8Array {
  const { kind: _, state, ...hello } = helloOf({ player: 'bad' });
  const all = { ...hello, ...fields } as Record<string, unknown>;
  for (const [name, value] of Object.entries(all)) if (value === undefined) delete all[name];
  const writer = new ByteWriter();
  writer.byte(MessageByte.hello);
  encodeValue(writer, all as unknown as Json);
  writer.raw(state);
  return writer.take();
}

function lmspKeyframe(): Hello['state'] {
  const entries: [string, Json][] = [
    ['current_code', ''],
    ['cursor_position', [0, 0]],
    ['ast_tree', null],
    ['challenge_id', ''],
    ['challenge_started_at', 0],
    ['tests_passing', 0],
    ['tests_total', 0],
    ['hints_used', 0],
    ['player_id', 'bad'],
    ['mastery_levels', {}],
    ['current_emotion', null],
    ['session_duration', 0],
    ['challenges_completed', []],
    ['concepts_mastered', []],
    ['other_players', []],
  ];
  // Spelled out, each with a name that is not remembered: the vocabulary stays that of the profile.
  const writer = new ByteWriter();
  writer.byte(2);
  writer.varint(entries.length);
  for (const [key, value] of entries) {
    writer.varint(16_383);
    writer.text(key);
    encodeValue(writer, value);
  }
  return writer.take();
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

function errorOf(act: () => unknown): [code: unknown, message: string] {
  try {
    act();
  } catch (error) {
    return [(error as { code?: unknown }).code, (error as Error).message];
  }
  return [undefined, 'nothing was thrown'];
}

function describeObject(object: object): unknown {
  return Object.getOwnPropertyNames(object).sort();
}
