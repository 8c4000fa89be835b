import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Whether suites in a browser are to be skipped, which is said loudly; under `CI=true` they fail instead. */
export function withoutChromium(suite: string): boolean {
  const isSkipped = !CHROMIUM && process.env.CI !== 'true';
  if (isSkipped) console.warn(`SKIPPED: ${suite} in a browser: no chromium in /usr/bin (apt-get install chromium)`);
  return isSkipped;
}

export async function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: executable(), args: ARGS });
}

/** A browser with a profile that lasts. */
export async function launchProfile(directory: string): Promise<BrowserContext> {
  return chromium.launchPersistentContext(directory, { executablePath: executable(), args: ARGS });
}

function executable(): string {
  if (!CHROMIUM) throw new Error('no chromium in /usr/bin: apt-get install chromium');
  return CHROMIUM;
}
