import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type Session } from '@gametape/client-sdk';
import { CloseCode, JSON_PROFILE, LMSP_PROFILE, type State } from '@gametape/shared';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FakeRelay } from '../support/fake-relay.ts';
import { TestRelay } from '../support/relay.ts';
import { tempDir } from '../support/temp-dir.ts';
import { hasTerminal, inTerminal } from '../support/terminal.ts';
import { TestProducer } from '../support/test-producer.ts';
import { waitFor } from '../support/wait-for.ts';
import { WrittenSession } from '../support/written-session.ts';
import { gametape } from './gametape.ts';
import { spawnGametape } from './spawned.ts';

if (!hasTerminal) console.warn('SKIPPED: play and tail on a terminal: no /usr/bin/script (apt-get install bsdutils)');

const SHOW_CURSOR = '\u001b[?25h';
const LEAVE_SCREEN = '\u001b[?1049l';

/** Somebody types, an event every 10 s; the checkpoint `half` comes before the last. */
async function recordingIn(directory: string): Promise<string> {
  const session = new WrittenSession(LMSP_PROFILE, { ann: emptyState('') });
  session.stepUs = 10_000_000;
  for (const code of ['d', 'de', 'def', 'def f():', 'def f():\n  x\u001b[3J'])
    await session.add('ann', KEY, { state: emptyState(code) });
  await session.add('ann', { type: 'checkpoint', data: { name: 'half' } });
  await session.add('ann', KEY, { state: emptyState('def f():\n  return 1') });
  const path = join(directory, 'a.lmsp');
  await writeFile(path, await session.finish());
  return path;
}

const KEY = { type: 'keystroke', data: { char: 'x', modifiers: [] } };

function emptyState(code: string): State {
  const lines = code.split('\n');
  return {
    current_code: code,
    cursor_position: [lines.length - 1, lines.at(-1)?.length ?? 0],
    tests_passing: 0,
    tests_total: 0,
    current_emotion: ['flow', 0],
    session_duration: 0,
    mastery_levels: {},
  };
}

describe.skipIf(!hasTerminal)('play on a terminal', () => {
  test('shows the code with its cursor, takes keys, and leaves the terminal as it was', async () => {
    const path = await recordingIn(await tempDir());
    const { screen, code } = await inTerminal(`stty rows 12 cols 60; gametape play ${path} --speed 0.1; stty -a`, [
      { at: /q quit/, type: ' ' },
      { at: /❚❚/, type: 'g' },
      { at: /return 1/, type: 'p' },
      { at: /x\ufffd\[3J.*checkpoint name/s, type: '+' },
      { at: /0\.25×/, type: 'q' },
    ]);
    expect(code).toBe(0);
    expect(screen).toContain('\u001b[7m \u001b[27m');
    expect(screen).not.toContain('\u001b[3J');
    const end = screen.slice(screen.lastIndexOf(LEAVE_SCREEN));
    expect(screen.slice(0, screen.length - end.length)).toContain(SHOW_CURSOR);
    expect(end).toMatch(/[^-]icanon/);
    expect(end).toMatch(/[^-]echo /);
  });

  test('draws anew when the terminal changes its size', async () => {
    const directory = await tempDir();
    const path = await recordingIn(directory);
    const flag = join(directory, 'resize');
    const resize = `(while [ ! -e ${flag} ]; do sleep 0.05; done; stty rows 8 cols 30 < /dev/tty) &`;
    // The keys are on the last of 12 lines, and then of 8.
    const { code } = await inTerminal(`stty rows 12 cols 70; ${resize} gametape play ${path} --speed 0.1`, [
      { at: /\[12;1H.*q quit/, type: ' ', onTyped: () => void writeFile(flag, '') },
      { at: /\[8;1H.*q quit/, type: 'q' },
    ]);
    expect(code).toBe(0);
  });

  test.each([
    ['ctrl-C', '\u0003', 130],
    ['q', 'q', 0],
  ])('%s ends it with its exit code', async (_, type, exitCode) => {
    const path = await recordingIn(await tempDir());
    const { screen, code } = await inTerminal(`gametape play ${path}`, { at: /q quit/, type });
    expect(code).toBe(exitCode);
    expect(screen).toContain(LEAVE_SCREEN);
    expect(screen).toContain(SHOW_CURSOR);
  });

  test('an error is said on the terminal as it was before', async () => {
    const directory = await tempDir();
    const path = await recordingIn(directory);
    const { screen, code } = await inTerminal(`gametape play ${path} --from @nowhere`);
    expect(code).toBe(1);
    expect(screen).toContain('there is no checkpoint nowhere; there are half');
  });

  test('NO_COLOR is heard, and the cursor is seen all the same', async () => {
    const path = await recordingIn(await tempDir());
    const { screen } = await inTerminal(
      `gametape play ${path} --from 12`,
      { at: /1 de/, type: 'q' },
      { NO_COLOR: '1' },
    );
    for (const colour of ['31', '33', '36']) expect(screen).not.toContain(`\u001b[${colour}m`);
    expect(screen).toContain('\u001b[7m');
  });
});

describe('play without a terminal', () => {
  test('prints one event a line, as cat does', async () => {
    const path = await recordingIn(await tempDir());
    const [played, printed] = await Promise.all([gametape(['play', path]), gametape(['cat', path])]);
    expect(played).toEqual(printed);
    const [playedJson, printedJson] = await Promise.all([
      gametape(['play', path, '--json', '--player', 'ann']),
      gametape(['cat', path, '--json']),
    ]);
    expect(playedJson).toEqual(printedJson);
    const unknown = await gametape(['play', path, '--player', 'bob']);
    expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining('its players are ann')]);
    const wrong = await gametape(['play', path, '--speed', '17']);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('0.1 to 16')]);
  });
});

describe('tail', () => {
  test('[V1] prints what happens from where it is told, and ends with the room', async () => {
    const relay = await TestRelay.start();
    const ann = await connect({ url: relay.wsUrl, room: 'arena', player: 'ann' });
    for (const message of ['one', 'two']) ann.say(message);
    await ann.stable();
    const tail = spawnGametape(['tail', 'arena', '--url', relay.wsUrl, '--from', 'start', '--speed', '16', '--json']);
    await waitFor('what was before', () => tail.stdout.includes('"two"'));
    ann.say('three');
    await waitFor('what happens now', () => tail.stdout.includes('"three"'));
    await ann.end();
    expect(await tail.exited).toBe(0);
    const lines = tail.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ event }) => event.data.message ?? event.type)).toEqual([
      'player_join',
      'one',
      'two',
      'three',
      'player_leave',
    ]);
    expect(lines.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
  });

  test('says what goes wrong on the way, and goes on as long as something can be shown', async () => {
    const relay = await FakeRelay.start();
    const tail = spawnGametape(['tail', 'arena', '--url', relay.wsUrl, '--json']);
    const peer = await relay.peer(1);
    peer.welcome({ seq: 0, producer: -1 });
    peer.send({ kind: 'producer', index: 0, player: 'ann', instance: 'of-ann' });
    const ann = new TestProducer(JSON_PROFILE);
    const say = (seq: number, text: string) => {
      const body = ann.encode({ type: 'said', data: { text } }, undefined, 0);
      const events = [{ seq, producer: 0, time: seq * 500_000, hlc: 0, stamp: 0, body }];
      peer.send({ kind: 'events-down', acks: { accepted: 0, stable: 0 }, upTo: seq, events });
    };
    say(1, 'here');
    await waitFor('what happens', () => tail.stdout.includes('here'));
    peer.send({ kind: 'notice', code: 'LIMIT_EXCEEDED', message: 'one thing was refused', pseq: 0 });
    await waitFor('it to be said', () => tail.stderr.includes('one thing was refused'));
    say(2, 'still here');
    const none = { complete: true, durationS: 1, events: 1, players: [] };
    peer.send({ kind: 'ended', summary: { recordingId: 'fake', room: 'arena', ...none }, seq: 2 });
    expect(await tail.exited).toBe(0);
    expect(tail.stdout).toContain('still here');
  });

  test('ends with the error when its connection is over for good', async () => {
    const relay = await FakeRelay.start();
    const refused = spawnGametape(['tail', 'arena', '--url', relay.wsUrl]);
    const peer = await relay.peer(1);
    peer.welcome({ seq: 0, producer: -1 });
    peer.close(CloseCode.NOT_ALLOWED, 'NOT_ALLOWED: no more');
    expect(await refused.exited).toBe(4);
    expect(refused.stderr).toContain('no more');
  });

  test('says what is wrong, and stops when it is asked to', async () => {
    const relay = await TestRelay.start();
    const nobody = await gametape(['tail', 'nowhere', '--url', relay.wsUrl]);
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining('nowhere')]);
    const unsaid = await gametape(['tail', 'arena', '--url', relay.wsUrl, '--from', 'end']);
    expect([unsaid.code, unsaid.stderr]).toEqual([2, expect.stringContaining('"live", "start", seconds')]);
    const ann = await connect({ url: relay.wsUrl, room: 'arena', player: 'ann' });
    const tail = spawnGametape(['tail', 'arena', '--url', relay.wsUrl]);
    await keepSaying(ann, () => tail.stdout.includes('hello'));
    tail.child.kill('SIGINT');
    expect(await tail.exited).toBe(130);
    await ann.end();
  });

  test.skipIf(!hasTerminal)('on a terminal it shows the code as it is typed, goes back and is live again', async () => {
    const relay = await TestRelay.start();
    const ann = await connect({ url: relay.wsUrl, room: 'arena', player: 'ann' });
    const type = (code: string) =>
      ann.record({ type: 'keystroke', data: { char: 'x', modifiers: [] } }, { ...ann.state, current_code: code });
    type('first');
    await ann.checkpoint('half');
    type('second');
    await ann.stable();
    // The cursor is on the first letter.
    const { screen, code } = await inTerminal(`gametape tail arena --url ${relay.wsUrl}`, [
      { at: /econd/, type: '', onTyped: () => type('third') },
      { at: /hird/, type: ' ' },
      { at: /behind/, type: 'p' },
      { at: /econd/, type: 'g' },
      { at: /● live/, type: 'q' },
    ]);
    expect(code).toBe(0);
    expect(screen).toContain(LEAVE_SCREEN);
    await ann.end();
  });
});

/** Until somebody has heard it. */
async function keepSaying(session: Session, isHeard: () => boolean): Promise<void> {
  const timer = setInterval(() => session.say('hello'), 50);
  onTestFinished(() => clearInterval(timer));
  await waitFor('it to be heard', isHeard);
  clearInterval(timer);
}
