import { openRecording } from '@gametape/client-sdk';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { launchChromium, withoutChromium } from '../support/chromium.ts';
import { FileServer } from '../support/file-server.ts';
import { largeRecording } from '../support/large-recording.ts';
import { servePage } from '../support/sdk-page.ts';
import { digestOf } from '../support/tape-digest.ts';

const EVERY = 97;

describe.skipIf(withoutChromium('openRecording'))('[R2] [V4] openRecording in a browser', () => {
  const files: Record<string, Uint8Array> = {};
  let site: FileServer;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    files['/large.lmsp'] = await largeRecording();
    files['/small.lmsp'] = await largeRecording(200);
    site = await FileServer.start(files, { misbehave: servePage, stays: true });
    browser = await launchChromium();
  });

  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  beforeEach(async () => {
    page = await browser.newPage();
    await page.goto(site.origin);
    site.requests.length = 0;
  });
  afterEach(() => page.close());

  /** Runs `script`, in which `openRecording` and `digestOf` are known. */
  function inPage<Result>(script: string): Promise<Result> {
    return page.evaluate(`(async () => {
      const { openRecording } = await import('@gametape/client-sdk');
      const digestOf = ${digestOf};
      ${script}
    })()`) as Promise<Result>;
  }

  function recordingRequests(server: FileServer): string[] {
    return server.requests.filter((line) => line.includes('.lmsp'));
  }

  test.each([
    ['/small.lmsp', 1, 0],
    // Also where ranges overlap that a browser may have kept.
    ['/large.lmsp', 2, 1],
  ])('%s: %i requests to open, %i to seek', async (path, toOpen, toSeek) => {
    const duration = await inPage<number>(`
      globalThis.tape = await openRecording(${JSON.stringify(path)});
      return tape.duration;`);
    expect(duration).toBeGreaterThan(10);
    expect(recordingRequests(site)).toHaveLength(toOpen);
    for (const share of [0.4, 0.01, 0.5, 0.7, 0.45, 0.02]) {
      site.requests.length = 0;
      expect(await inPage(`return (await tape.statesAt(${duration * share})).size;`)).toBe(2);
      expect(recordingRequests(site).length, `${share}: ${site.requests}`).toBeLessThanOrEqual(toSeek);
    }
  });

  test.each([
    ['a URL', "'/large.lmsp'"],
    ['a Blob', "await (await fetch('/large.lmsp')).blob()"],
    ['a File', "new File([await (await fetch('/large.lmsp')).arrayBuffer()], 'large.lmsp')"],
    ['bytes', "new Uint8Array(await (await fetch('/large.lmsp')).arrayBuffer())"],
  ])('gives the same events and states as in Node from %s', async (_name, source) => {
    const expected = await digestOf(await openRecording(files['/large.lmsp'] as Uint8Array), EVERY);
    expect(await inPage(`return digestOf(await openRecording(${source}), ${EVERY});`)).toEqual(expected);
  });

  test('reads from another origin that lets it read and nothing else', async () => {
    const other = await FileServer.start(files, {
      misbehave: ({ method }, response) => {
        response.setHeader('access-control-allow-origin', '*');
        if (method !== 'OPTIONS') return false;
        response.writeHead(405).end();
        return true;
      },
    });
    const expected = await digestOf(await openRecording(files['/large.lmsp'] as Uint8Array), EVERY);
    const url = JSON.stringify(other.url('/large.lmsp'));
    expect(await inPage(`return digestOf(await openRecording(${url}), ${EVERY});`)).toEqual(expected);
    expect(other.requests.map((line) => line.split(' ')[0])).toContain('HEAD');
    expect(other.requests.filter((line) => line.startsWith('GET') && !line.includes('bytes='))).toEqual([]);
  });

  test('of another origin that does not let it read says so', async () => {
    const other = await FileServer.start(files);
    const url = other.url('/large.lmsp');
    const said = await inPage<string>(
      `return openRecording(${JSON.stringify(url)}).catch((error) => error.code + ': ' + error.message);`,
    );
    expect(said).toMatch(`UNREACHABLE: ${url}: no answer`);
  });
});
