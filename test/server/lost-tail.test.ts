import { cp, rm } from 'node:fs/promises';
import { connect, type Live, type Session, spectate } from '@gametape/client-sdk';
import { EventType } from '@gametape/shared';
import { expect, test } from 'vitest';
import { RelayProcess, readRecording } from '../support/relay.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

test('[W4] [V1] [V3] spectators of what a power loss has taken back go on in what is there instead', async () => {
  const dataDir = await tempDir();
  const relay = await RelayProcess.start(dataDir);
  const ann = await join(relay, 'ann');
  type(ann, 'one');
  await ann.stable();
  const live = new Seen(await watch(relay));
  const { live: early } = new Seen(await watch(relay));
  const paused = new Seen(await watch(relay));
  await waitFor('it to be shown', () => early.states.get('ann')?.text === 'one');
  early.pause();
  // All that comes from here on was never synced.
  const synced = await tempDir();
  await cp(dataDir, synced, { recursive: true });
  const bob = await join(relay, 'bob');
  for (let i = 0; i < 20; i++) type(bob, `<${i}>`);
  await bob.stable();
  await bob.leave();
  await waitFor('it to be shown', () => [live, paused].every(({ live }) => text(live, 'bob')?.endsWith('<19>')));
  await waitFor('him to have left', () => [live, paused].every(({ types }) => types.includes(EventType.PLAYER_LEAVE)));
  const lostSeqs = live.live.reel.edge?.seq ?? 0;
  paused.live.pause();
  // One that is in the middle of it.
  const behind = new Seen(await watch(relay));
  behind.live.pause();
  await behind.live.seek(paused.live.currentTime);
  await behind.live.step(-5);
  expect(text(behind.live, 'bob')).toMatch(/<1\d>$/);

  await relay.kill();
  await rm(dataDir, { recursive: true });
  await cp(synced, dataDir, { recursive: true });
  await relay.start();
  // He gets the producer that bob had.
  const carl = await join(relay, 'carl');
  const all = [live, paused, behind].map((seen) => seen.live);
  await waitFor('bob to be forgotten', () => all.every((one) => !one.states.has('bob')));
  for (const seen of [live, paused, behind]) seen.forget();
  for (let i = 0; i < 30; i++) type(i % 2 === 0 ? carl : ann, `[${i}]`);
  await Promise.all([carl.stable(), ann.stable()]);
  await waitFor('it to be shown', () => text(live.live, 'carl')?.endsWith('[28]'));
  expect(lostSeqs).toBeLessThan(live.live.reel.edge?.seq ?? 0);
  // Where nothing is behind it, nothing has changed.
  expect([text(early, 'ann'), text(paused.live, 'ann'), text(behind.live, 'ann')]).toEqual(['one', 'one', 'one']);

  for (const one of [early, paused.live, behind.live]) {
    one.playbackRate = 16;
    one.play();
  }
  const watching = [live.live, early, paused.live, behind.live];
  await waitFor('everybody to come to the end', () =>
    watching.every((one) => text(one, 'carl')?.endsWith('[28]') && text(one, 'ann')?.endsWith('[29]')),
  );
  const made = ann.recordingId;
  await ann.end();
  const bytes = new Uint8Array(await (await fetch(`${relay.url}/v1/recordings/${made}.lmsp`)).arrayBuffer());
  const { own } = await readRecording(bytes);
  const typed = own
    .filter(({ type, data }) => type === 'typed' && String(data.text).startsWith('['))
    .map(({ seq }) => seq);
  expect(typed).toHaveLength(30);
  for (const seen of [live, paused, behind]) {
    expect(seen.typed.toSorted((a, b) => a - b)).toEqual(typed.toSorted((a, b) => a - b));
    expect(seen.errors).toEqual([]);
  }
});

class Seen {
  readonly live: Live;
  readonly types: string[] = [];
  readonly typed: number[] = [];
  readonly errors: Error[] = [];

  constructor(live: Live) {
    this.live = live;
    live.on('event', ({ type, seq }) => {
      this.types.push(type);
      if (type === 'typed') this.typed.push(seq);
    });
    live.on('error', (error) => this.errors.push(error));
  }

  forget(): void {
    this.typed.length = 0;
  }
}

function join({ wsUrl }: RelayProcess, player: string): Promise<Session> {
  return connect({ url: wsUrl, room: 'arena', player, profile: 'json', state: { text: '' } });
}

function watch({ wsUrl }: RelayProcess): Promise<Live> {
  return spectate({ url: wsUrl, room: 'arena' });
}

function type(session: Session, text: string): void {
  session.edit('text', { at: String(session.state.text).length, remove: 0, insert: text });
  session.record({ type: 'typed', data: { text } });
}

function text(live: Live, player: string): string | undefined {
  return live.states.get(player)?.text as string | undefined;
}
