import { connect } from '@gametape/client-sdk';
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
import { describe, expect, test } from 'vitest';
import { bystanders, expectRefusal, watchFaults } from '../support/bystanders.ts';
import { bodyOf, helloOf, messageBody, RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';

watchFaults();

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
    await client.accepted(gaps);
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

function event(firstPseq: number, stampDelta: number, shown?: number): UpMessage {
  const events = [{ stampDelta, body: messageBody('lies') }];
  return { kind: 'events-up', firstPseq, ...(shown !== undefined && { shown }), events };
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

function errorOf(act: () => unknown): [code: unknown, message: string] {
  try {
    act();
  } catch (error) {
    return [(error as { code?: unknown }).code, (error as Error).message];
  }
  return [undefined, 'nothing was thrown'];
}
