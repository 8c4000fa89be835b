import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { BrowserContext } from 'playwright-core';
import { onTestFinished } from 'vitest';
import type { Spool, SpoolName, SpoolSegment, SpoolStore } from '../../client-sdk/dist/spool/spool.js';
import { within } from './wait-for.ts';

const HOST = fileURLToPath(new URL('./spool-host.mjs', import.meta.url));

type Call = (method: string, args: readonly unknown[]) => Promise<unknown>;

interface RemoteSpool {
  readonly id: number;
  readonly name: SpoolName;
  readonly isImmediate: boolean;
}

/** A spool store that lives elsewhere, and can die there. */
export class RemoteSpools implements SpoolStore {
  readonly #call: Call;
  readonly #kill: () => Promise<void>;

  private constructor(call: Call, kill: () => Promise<void>) {
    this.#call = call;
    this.#kill = kill;
  }

  /** Files, in a process of its own. */
  static async inProcess(directory: string): Promise<RemoteSpools> {
    const child = spawn(process.execPath, [HOST, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const answers: ((answer: unknown) => void)[] = [];
    createInterface(child.stdout).on('line', (line) => answers.shift()?.(JSON.parse(line)));
    const call: Call = (method, args) => {
      const answer = new Promise<unknown>((resolve) => answers.push(resolve));
      child.stdin.write(`${JSON.stringify({ method, args })}\n`);
      return within(`the store to ${method}`, answer);
    };
    return new RemoteSpools(call, async () => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await within('the process to be gone', exited);
    });
  }

  /** IndexedDB, in a tab of its own. `origin` serves the SDK. */
  static async inTab(context: BrowserContext, origin: string): Promise<RemoteSpools> {
    const page = await context.newPage();
    await page.goto(origin);
    await page.evaluate(`(async () => {
      const { openIndexedDbSpools } = await import('/client-sdk/dist/platform/indexeddb-spool.js');
      const { SpoolHost } = await import('/test/support/spool-host.mjs');
      globalThis.host = new SpoolHost(await openIndexedDbSpools({}));
    })()`);
    const call: Call = (method, args) =>
      page.evaluate(`host.call(${JSON.stringify(method)}, ${JSON.stringify(args)})`) as Promise<unknown>;
    return new RemoteSpools(call, () => crashTab(context, page));
  }

  /** Its process or tab dies: nothing is closed. */
  async kill(): Promise<void> {
    await this.#kill();
  }

  async create(name: SpoolName): Promise<Spool> {
    return this.#spool((await this.#call('create', [name])) as RemoteSpool);
  }

  async takeOver(isWanted: (name: SpoolName) => boolean): Promise<Spool[]> {
    const taken = (await this.#call('takeOver', [String(isWanted)])) as RemoteSpool[];
    return taken.map((spool) => this.#spool(spool));
  }

  async close(): Promise<void> {
    await this.#call('close', []);
  }

  #spool({ id, name, isImmediate }: RemoteSpool): Spool {
    const call = this.#call;
    return {
      name,
      isImmediate,
      onFailure: () => {},
      append: (segment, bytes) => void call('append', [id, segment, [...bytes]]),
      dropBefore: (segment) => void call('dropBefore', [id, segment]),
      written: async () => void (await call('written', [id])),
      read: async () => {
        const segments = (await call('read', [id])) as { number: number; bytes: number[] }[];
        return segments.map(({ number, bytes }): SpoolSegment => ({ number, bytes: Uint8Array.from(bytes) }));
      },
      remove: async () => void (await call('remove', [id])),
    };
  }
}

/** Kills the renderer of a page: none of its handlers run. */
export async function crashTab(
  context: BrowserContext,
  page: Awaited<ReturnType<BrowserContext['newPage']>>,
): Promise<void> {
  const crashed = new Promise<void>((resolve) => page.once('crash', () => resolve()));
  const devtools = await context.newCDPSession(page);
  // A tab that crashes does not answer.
  devtools.send('Page.crash').catch(() => undefined);
  await within('the tab to crash', crashed);
}
