import { connect, type SpectateOptions, spectate } from '@gametape/client-sdk';
import { describe, expect, onTestFinished, test } from 'vitest';
import { TestRelay } from '../support/relay.ts';

/** Nobody listens there: whatever is said of the options is said before anything is sent. */
const NOWHERE = 'ws://127.0.0.1:9';

describe('options that make no sense', () => {
  test.each([undefined, 5, '', 'a/b'])('%j is no room', async (room) => {
    const wrong = { url: NOWHERE, room: room as string, player: 'ann' };
    const message = `room: ${JSON.stringify(room)} is no id`;
    await expect(connect(wrong)).rejects.toMatchObject({ code: 'BAD_ID', message });
    await expect(spectate(wrong)).rejects.toMatchObject({ code: 'BAD_ID', message });
  });

  test('a player without an id', async () => {
    const refused = connect({ url: NOWHERE, room: 'r', player: undefined as unknown as string });
    await expect(refused).rejects.toMatchObject({ code: 'BAD_ID', message: 'player: undefined is no id' });
  });

  test.each(['end', 5, {}, [], { time: Number.NaN }, { time: '3' }, { checkpoint: 5 }])('from %j', async (from) => {
    const watched = spectate({ url: NOWHERE, room: 'r', from: from as SpectateOptions['from'] });
    await expect(watched).rejects.toThrow(/^from: expected 'live', 'start', \{time\} or \{checkpoint\}, found /);
    await expect(watched).rejects.toBeInstanceOf(TypeError);
  });

  test.each([Number.NaN, -1, '9'])('timeoutMs %j', async (timeoutMs) => {
    const wrong = { url: NOWHERE, room: 'r', player: 'ann', timeoutMs: timeoutMs as number };
    for (const join of [connect, spectate]) await expect(join(wrong)).rejects.toBeInstanceOf(TypeError);
  });

  test.each(['nonsense', 'ftp://127.0.0.1:9', 'ws+unix:///tmp/s'])('%s is not an address to watch at', async (url) => {
    const watched = spectate({ url, room: 'r' });
    await expect(watched).rejects.toMatchObject({ code: 'UNREACHABLE', message: `${url}: not an address of a relay` });
  });
});

describe('options that do', () => {
  test('[V1] an address may be that of the HTTP side, and the first connection may take for ever', async () => {
    const relay = await TestRelay.start();
    const ann = await connect({ url: relay.url, room: 'r', player: 'ann', timeoutMs: Number.POSITIVE_INFINITY });
    await ann.checkpoint('here');
    const live = await spectate({
      url: relay.url,
      room: 'r',
      from: { checkpoint: 'here' },
      timeoutMs: Number.POSITIVE_INFINITY,
    });
    onTestFinished(() => live.close());
    expect([...live.states.keys()]).toEqual(['ann']);
    await ann.end();
  });
});
