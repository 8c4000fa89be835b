import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchProfile, withoutChromium } from '../support/chromium.ts';
import { FileServer } from '../support/file-server.ts';
import { RelayProcess, readRecording } from '../support/relay.ts';
import { crashTab } from '../support/remote-spools.ts';
import { servePage } from '../support/sdk-page.ts';
import { startAgain } from '../support/spooled-games.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

describe.skipIf(withoutChromium('the spool'))(
  '[W3] a tab crashes and the page comes back',
  { timeout: 180_000 },
  () => {
    let site: FileServer;
    let directory: string;
    let profile: BrowserContext;

    beforeAll(async () => {
      site = await FileServer.start({}, { misbehave: servePage, stays: true });
      directory = await mkdtemp(join(tmpdir(), 'gametape-profile-'));
      profile = await launchProfile(directory);
    });

    afterAll(async () => {
      await profile?.close();
      await site?.close();
      await rm(directory, { recursive: true, force: true });
    });

    /** A page that has joined: `session` and `errors` are its globals. */
    async function play(url: string, room: string, path = '/'): Promise<Page> {
      const page = await profile.newPage();
      await page.goto(`${site.origin}${path}`);
      await page.evaluate(`(async () => {
      const { connect } = await import('@gametape/client-sdk');
      const options = { url: ${JSON.stringify(url)}, room: ${JSON.stringify(room)}, player: 'ann', profile: 'json', state: {} };
      globalThis.session = await connect({ ...options, spool: true });
      globalThis.errors = [];
      session.on('error', ({ code, message }) => errors.push(code + ': ' + message));
      globalThis.play = (from, to, more = '') => {
        for (let n = from; n <= to; n++) session.record({ type: 'typed', data: { n, more: more + n } }, { text: 'state ' + n });
      };
    })()`);
      return page;
    }

    /** Resolves once the session's events up to that one are in the database: its tab may crash from then on. */
    async function spooled(page: Page, pseq: number): Promise<void> {
      const last = `(async () => {
      const { readSpool } = await import('/client-sdk/dist/spool/spool-records.js');
      const { crc32 } = await import('@gametape/shared');
      const resultOf = (request) => new Promise((resolve) => { request.onsuccess = () => resolve(request.result); });
      const database = await resultOf(indexedDB.open('gametape-spool'));
      const parts = await resultOf(database.transaction('parts').objectStore('parts').getAll());
      database.close();
      return Math.max(...readSpool(parts.map((bytes) => ({ number: 1, bytes })), crc32).messages.map((one) => one.lastPseq));
    })()`;
      await waitFor(`event ${pseq} in the spool`, async () => ((await page.evaluate(last)) as number) >= pseq);
    }

    function upTo(last: number): number[] {
      return Array.from({ length: last }, (_, index) => index + 1);
    }

    async function numbersIn(relay: RelayProcess, recordingId: string): Promise<number[]> {
      const recording = await readRecording(await readFile(relay.recordingPath(recordingId)));
      expect(recording.summary.players.map(({ gaps }) => gaps)).toEqual([[]]);
      return recording.own.flatMap(({ data }) => (typeof data.n === 'number' ? [data.n] : []));
    }

    test('what it recorded while the relay was away is recorded once', async () => {
      const relay = await RelayProcess.start(await tempDir());
      const page = await play(relay.wsUrl, 'crash');
      const recordingId = (await page.evaluate('session.recordingId')) as string;
      await page.evaluate('play(1, 10), session.stable()');
      await relay.kill();
      await page.evaluate('play(11, 40)');
      await spooled(page, 40);
      await crashTab(profile, page);
      await startAgain(relay);
      const again = await play(relay.wsUrl, 'crash');
      expect(await again.evaluate('session.recordingId')).toBe(recordingId);
      expect(await again.evaluate('session.status.spool')).toMatchObject({ isKept: true, recovered: 30, kept: 0 });
      await again.evaluate('play(41, 45)');
      await again.evaluate('session.end()');
      expect(await again.evaluate('errors')).toEqual([]);
      expect(await numbersIn(relay, recordingId)).toEqual(upTo(45));
    });

    test('at any moment, what is there is recorded in order and once', async () => {
      const relay = await RelayProcess.start(await tempDir());
      const page = await play(relay.wsUrl, 'anytime');
      const recordingId = (await page.evaluate('session.recordingId')) as string;
      await page.evaluate('play(1, 10), session.stable()');
      await relay.kill();
      for (let n = 11; n <= 30; n++) await page.evaluate(`play(${n}, ${n})`);
      await crashTab(profile, page);
      await startAgain(relay);
      const again = await play(relay.wsUrl, 'anytime');
      await again.evaluate('session.end()');
      const numbers = await numbersIn(relay, recordingId);
      expect(numbers).toEqual(upTo(numbers.length));
      expect(numbers.length).toBeGreaterThan(10);
    });

    test('a tab that is closed leaves its tail, and one that lives keeps its own', async () => {
      const relay = await RelayProcess.start(await tempDir());
      const page = await play(relay.wsUrl, 'closed');
      const other = await play(relay.wsUrl, 'other');
      const recordingId = (await page.evaluate('session.recordingId')) as string;
      await relay.kill();
      await page.evaluate('play(1, 20)');
      await other.evaluate('play(1, 20)');
      await spooled(page, 20);
      await page.close();
      await startAgain(relay);
      const again = await play(relay.wsUrl, 'closed');
      expect(await again.evaluate('session.status.spool')).toMatchObject({ recovered: 20, kept: 0 });
      const second = await play(relay.wsUrl, 'other');
      expect(await second.evaluate('session.status.spool')).toMatchObject({ isKept: true, recovered: 0, kept: 0 });
      await again.evaluate('session.end()');
      expect(await numbersIn(relay, recordingId)).toEqual(upTo(20));
    });

    test.each([
      ['without any storage', '/sandboxed', ''],
      ['without room in it', '/', 'full'],
    ])('a page %s records all the same, and says so', async (_, path, full) => {
      const relay = await RelayProcess.start(await tempDir());
      const page = await play(relay.wsUrl, `none${full}`, path);
      const devtools = await profile.newCDPSession(page);
      if (full) await devtools.send('Storage.overrideQuotaForOrigin', { origin: site.origin, quotaSize: 1 });
      let last = 0;
      // Chromium looks at the quota from time to time, and sooner the more is written.
      await waitFor(
        'an error',
        async () => {
          await page.evaluate(`play(${last + 1}, ${last + 20}, 'x'.repeat(20_000)), session.stable()`);
          last += 20;
          return ((await page.evaluate('errors')) as string[]).length > 0;
        },
        60_000,
      );
      await devtools.send('Storage.overrideQuotaForOrigin', { origin: site.origin });
      expect(await page.evaluate('errors')).toEqual([expect.stringMatching(/^SPOOL_FAILED: /)]);
      expect(await page.evaluate('session.status.spool')).toMatchObject({ isKept: false, recovered: 0, kept: 0 });
      const { recordingId, complete } = (await page.evaluate('session.end()')) as {
        recordingId: string;
        complete: boolean;
      };
      expect(complete).toBe(true);
      expect(await numbersIn(relay, recordingId)).toEqual(upTo(last));
    });
  },
);
