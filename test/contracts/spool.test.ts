import type { Browser, BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import { openFileSpools } from '../../client-sdk/dist/platform/file-spool.js';
import { launchChromium, withoutChromium } from '../support/chromium.ts';
import { FileServer } from '../support/file-server.ts';
import { RemoteSpools } from '../support/remote-spools.ts';
import { servePage } from '../support/sdk-page.ts';
import { tempDir } from '../support/temp-dir.ts';
import { describeSpools } from './spool-contract.ts';

describeSpools({
  name: 'files, of processes that are killed',
  place: tempDir,
  open: (place) => RemoteSpools.inProcess(place),
  kill: (store) => (store as RemoteSpools).kill(),
});

describeSpools({
  name: 'files, in a directory whose path is longer than that of a socket may be',
  place: async () => `${await tempDir()}/${'deep/'.repeat(30)}`,
  open: (directory) => openFileSpools({ directory }),
  kill: (store) => store.close(),
});

describe.skipIf(withoutChromium('the spool in IndexedDB'))('in a browser', () => {
  let browser: Browser;
  let site: FileServer;
  const profiles = new Map<string, BrowserContext>();

  beforeAll(async () => {
    browser = await launchChromium();
    site = await FileServer.start({}, { misbehave: servePage, stays: true });
  });

  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  describeSpools({
    name: 'IndexedDB, of tabs that crash',
    place: async () => {
      const place = String(profiles.size);
      const context = await browser.newContext();
      onTestFinished(() => context.close());
      profiles.set(place, context);
      return place;
    },
    open: (place) => RemoteSpools.inTab(profiles.get(place) as BrowserContext, site.origin),
    kill: (store) => (store as RemoteSpools).kill(),
  });
});
