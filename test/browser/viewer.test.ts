import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Session } from '@gametape/client-sdk';
import { startRelay } from '@gametape/server';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { launchChromium, withoutChromium } from '../support/chromium.ts';

/** Limit of every wait, in milliseconds. */
const LIMIT_MS = 30_000;
type Relay = Awaited<ReturnType<typeof startRelay>>;

describe.skipIf(withoutChromium('the viewer'))('the viewer', () => {
  let dataDir: string;
  let relay: Relay;
  let browser: Browser;
  let page: Page;
  /** What a page must not do: fail, complain, or ask another server. */
  const complaints: string[] = [];

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'gametape-viewer-'));
    relay = await startRelay({ port: 0, host: '127.0.0.1', dataDir });
    browser = await launchChromium();
  });

  afterAll(async () => {
    await browser?.close();
    await relay?.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  beforeEach(async () => {
    complaints.length = 0;
    page = await browser.newPage();
    page.setDefaultTimeout(LIMIT_MS);
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    page.on('request', (request) => {
      const { host, protocol } = new URL(request.url());
      if (protocol !== 'data:' && host !== new URL(relay.url).host) complaints.push(`asked ${request.url()}`);
    });
  });

  afterEach(async () => {
    await page.close();
    expect(complaints).toEqual([]);
  });

  test('says what to do while there is nothing to see', async () => {
    await page.goto(relay.url);
    await page.getByText('No room is live.').waitFor();
    await page.getByText('No recording yet.').waitFor();
    expect(await page.locator('pre').allTextContents()).toEqual([
      expect.stringContaining(`npx gametape bots --url ${relay.wsUrl}`),
      expect.stringContaining(`url: '${relay.wsUrl}'`),
    ]);
  });

  test('[V1] the live page shows every player at once, and the code and cursor as they are typed', async () => {
    const ann = await connect({ url: relay.wsUrl, room: 'duel', player: 'ann', name: 'Ann' });
    const bob = await connect({ url: relay.wsUrl, room: 'duel', player: 'bob' });
    type(ann, 'def f():\n  🎮');
    await ann.stable();

    await page.goto(relay.url);
    await page.getByRole('link', { name: /duel.*ann and bob/ }).click();
    await shows('ann', { lines: ['def f():', '  🎮|'], name: 'Ann' });
    await shows('bob', { lines: ['|'], name: 'bob' });

    type(ann, 'x');
    type(bob, 'return 1');
    await shows('ann', { lines: ['def f():', '  🎮x|'], name: 'Ann' });
    await shows('bob', { lines: ['return 1|'], name: 'bob' });
    ann.record({ type: 'test_pass', data: { tests_passing: 2, tests_total: 5 } }, moved(ann, [0, 4]));
    await shows('ann', { lines: ['def |f():', '  🎮x'], name: 'Ann' });
    await page.getByText('2 of 5 tests pass').waitFor();
    expect(await page.locator('.log li').first().textContent()).toMatch(/0:\d\dAnntest_pass2 · 5/);
    // How exact her times are (T2).
    await page
      .locator('[data-player=ann]')
      .getByText(/^±\d+\.\d ms$/)
      .waitFor();

    await bob.leave();
    await page.locator('[data-player=bob]').getByText('dropped').waitFor();
    const { recordingId } = await ann.end();
    const link = page.getByRole('link', { name: 'Watch the recording' });
    expect(await link.getAttribute('href')).toBe(`/r/${recordingId}`);
  });

  test('[V1] the live page stops, goes back and catches up, and says how far behind it is', async () => {
    const ann = await connect({ url: relay.wsUrl, room: 'dvr', player: 'ann' });
    type(ann, 'one');
    await ann.checkpoint('half');
    type(ann, '\ntwo');
    await ann.stable();
    await page.goto(`${relay.url}/live/dvr`);
    await shows('ann', { lines: ['one', 'two|'], name: 'ann' });
    const live = page.getByRole('button', { name: /live/i });
    await expect.poll(() => live.textContent(), { timeout: LIMIT_MS }).toBe('Live');
    await page.getByRole('button', { name: 'Pause' }).click();
    type(ann, '!');
    await expect.poll(() => live.textContent(), { timeout: LIMIT_MS }).toMatch(/^Go live, 0:0\d behind$/);
    await shows('ann', { lines: ['one', 'two|'], name: 'ann' });
    await page.getByRole('button', { name: /^Checkpoint half at 0:/ }).click();
    await shows('ann', { lines: ['one|'], name: 'ann' });
    if (process.env.GAMETAPE_SCREENSHOT) await page.screenshot({ path: process.env.GAMETAPE_SCREENSHOT });
    await moveSlider('min');
    await page.getByLabel('Speed').selectOption('16');
    await page.getByRole('button', { name: 'Play' }).click();
    await shows('ann', { lines: ['one', 'two!|'], name: 'ann' });
    await expect.poll(() => live.textContent(), { timeout: LIMIT_MS }).toBe('Live');
    await page.getByRole('button', { name: 'Pause' }).click();
    type(ann, '?');
    await live.click();
    await shows('ann', { lines: ['one', 'two!?|'], name: 'ann' });
    await ann.end();
  });

  test('a live page of a room that is not there waits for it', async () => {
    await page.goto(`${relay.url}/live/later`);
    await page.getByText('Nobody plays in later now.').waitFor();
    const ann = await connect({ url: relay.wsUrl, room: 'later', player: 'ann' });
    type(ann, 'here');
    await shows('ann', { lines: ['here|'], name: 'ann' });
    await ann.end();
  });

  test('[V3] the slider shows the states of the time it is moved to', async () => {
    const { recordingId, complete } = await record('seek');
    await page.goto(`${relay.url}/r/${recordingId}`);
    expect(complete).toBe(true);
    expect(await page.locator('[data-completeness]').textContent()).toBe('complete');
    await shows('ann', { lines: ['|'], name: 'ann' });

    await moveSlider('max');
    await shows('ann', { lines: ['one', 'two|'], name: 'ann' });
    const [, time, duration] = /^(\d:\d\d) of (\d:\d\d)$/.exec((await valueText()) ?? '') ?? [];
    expect(time).toBe(duration);
    await moveSlider('min');
    await shows('ann', { lines: ['|'], name: 'ann' });
    await page.getByRole('button', { name: /^Checkpoint half at 0:/ }).click();
    await shows('ann', { lines: ['one|'], name: 'ann' });
    // A storm of seeks ends at the last of them.
    for (const end of ['max', 'min', 'max', 'min', 'max'] as const) await moveSlider(end);
    await shows('ann', { lines: ['one', 'two|'], name: 'ann' });
  });

  test('[V3] playing comes to what seeking shows, and the address keeps the time', async () => {
    const { recordingId, durationS } = await record('play');
    await page.goto(`${relay.url}/r/${recordingId}?t=0:59`);
    await shows('ann', { lines: ['one', 'two|'], name: 'ann' });
    await expect.poll(() => new URL(page.url()).searchParams.get('t')).toBe(String(Number(durationS.toFixed(2))));
    await page.keyboard.press('Home');
    await shows('ann', { lines: ['|'], name: 'ann' });
    await expect.poll(() => new URL(page.url()).searchParams.get('t')).toBeNull();

    await page.getByLabel('Speed').selectOption('0.5');
    await page.locator('body').click();
    await page.keyboard.press('Space');
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    await shows('ann', { lines: ['one', 'two|'], name: 'ann' });
    await page.getByRole('button', { name: 'Play' }).waitFor();
    await expect.poll(() => page.getByRole('slider').inputValue()).toBe(String(durationS));
  });

  test('[V4] a recording is shown from the address of its file alone', async () => {
    const { recordingId } = await record('file');
    await page.goto(`${relay.url}/?src=/v1/recordings/${recordingId}.lmsp&t=1:00`);
    await shows('ann', { lines: ['one', 'two|'], name: 'ann' });
  });

  test('[L5] a game that is not LMSP shows its state as JSON', async () => {
    const state = { score: 1, bag: ['lamp'] };
    const ann = await connect({ url: relay.wsUrl, room: 'json', player: 'ann', profile: 'json', state });
    await page.goto(`${relay.url}/live/json`);
    const text = () => page.locator('[data-player=ann] .state').textContent();
    await expect.poll(text, { timeout: LIMIT_MS }).toBe(JSON.stringify(state, null, 2));
    ann.setState({ score: 2, bag: ['lamp', 'sword'] });
    await expect.poll(text, { timeout: LIMIT_MS }).toBe(JSON.stringify({ score: 2, bag: ['lamp', 'sword'] }, null, 2));
    await ann.end();
  });

  /** A recording of `one`, the checkpoint `half`, and a second line `two`. */
  async function record(room: string) {
    const ann = await connect({ url: relay.wsUrl, room, player: 'ann' });
    type(ann, 'one');
    await ann.checkpoint('half');
    type(ann, '\ntwo');
    await ann.stable();
    return ann.end();
  }

  /** Waits until a panel shows this code, with `|` for the cursor. */
  async function shows(player: string, expected: { lines: string[]; name: string }) {
    await expect.poll(() => page.evaluate(readPanel, player), { timeout: LIMIT_MS }).toEqual(expected);
  }

  async function moveSlider(end: 'min' | 'max') {
    const slider = page.getByRole('slider');
    await slider.fill((await slider.getAttribute(end)) ?? '');
  }

  function valueText() {
    return page.getByRole('slider').getAttribute('aria-valuetext');
  }
});

/** Types at the end of the code, an event for each code point. */
function type(session: Session, text: string): void {
  for (const char of text) {
    const code = `${session.state.current_code}${char}`;
    const lines = code.split('\n');
    const cursor = [lines.length - 1, [...(lines.at(-1) ?? '')].length];
    const next = { ...session.state, current_code: code, cursor_position: cursor };
    session.record({ type: 'keystroke', data: { char, modifiers: [] } }, next);
  }
}

function moved(session: Session, cursor: [line: number, column: number]) {
  return { ...session.state, cursor_position: cursor, tests_passing: 2, tests_total: 5 };
}

/** Runs in the page. */
function readPanel(player: string) {
  const panel = document.querySelector(`[data-player="${player}"]`);
  const lines = [...(panel?.querySelectorAll('.cm-line') ?? [])].map((line) => {
    const copy = line.cloneNode(true) as Element;
    copy.querySelector('.player-cursor')?.replaceWith('|');
    return copy.textContent;
  });
  return { lines, name: panel?.querySelector('h2')?.textContent };
}
