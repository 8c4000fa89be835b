import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';
import type { Bench } from './support/bench.ts';
import { ROOT } from './support/machine.ts';
import { number, printLine, printTable, verdict } from './support/print.ts';

const GOAL_BYTES = 20_000;
/** What pages take of the SDK. The first is what the goal is about: a game that plays and is recorded. */
const PAGES = [
  ['connect'],
  ['connect', 'Recorder'],
  ['Recorder'],
  ['spectate'],
  ['openRecording'],
  ['connect', 'spectate', 'openRecording', 'Recorder'],
] as const;

/** Bytes of chunks, each minified and gzipped by itself, as a server sends them. */
interface PageSize {
  /** The page's own and all that these import at once. */
  readonly atOnce: number;
  /** What is loaded when it is first needed. */
  readonly later: number;
  /** Bytes before minifying of what is loaded at once, by npm package. */
  readonly packages: ReadonlyMap<string, number>;
}

export const browserSize: Bench = {
  name: 'browser-size',
  about: 'bytes of the SDK that a browser loads, minified and gzipped, by what a page imports',
  run: async () => {
    const caches = join(ROOT, 'node_modules', '.cache');
    await mkdir(caches, { recursive: true });
    // Inside the repository: the page has to find the SDK as any page does.
    const home = await mkdtemp(join(caches, 'gametape-bench-'));
    try {
      const rows: string[][] = [];
      for (const [index, names] of PAGES.entries()) {
        const { atOnce, later, packages } = await pageSize(home, names);
        const all = [...packages].filter(([, bytes]) => bytes > 0).sort(([, one], [, other]) => other - one);
        const shares = all.map(([name, bytes]) => `${name} ${number(bytes)}`).join(', ');
        const judged = index === 0 ? verdict(atOnce, { atMost: GOAL_BYTES }) : '';
        rows.push([names.join(', '), number(atOnce), number(later), shares, judged]);
      }
      printTable('the SDK in a browser', [['a page imports', 'at once', 'later', 'before minifying'], ...rows]);
      printLine();
      printLine(
        '  Bytes after minifying (Vite) and gzip -9, chunk by chunk. Nothing is left out; "later" is what writing needs.',
      );
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  },
};

async function pageSize(home: string, names: readonly string[]): Promise<PageSize> {
  const input = join(home, `${names.join('-')}.js`);
  await writeFile(input, `export { ${names.join(', ')} } from '@gametape/client-sdk';\n`);
  const built = (await build({
    root: ROOT,
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      target: 'es2022',
      modulePreload: false,
      rollupOptions: { input, preserveEntrySignatures: 'strict' },
    },
  })) as Rolldown.RolldownOutput;
  const chunks = new Map(built.output.filter((file) => file.type === 'chunk').map((chunk) => [chunk.fileName, chunk]));
  const atOnce = new Set([...chunks.values()].filter(({ isEntry }) => isEntry).map(({ fileName }) => fileName));
  for (const name of atOnce) for (const imported of chunks.get(name)?.imports ?? []) atOnce.add(imported);
  const sizes = { atOnce: 0, later: 0 };
  const packages = new Map<string, number>();
  for (const [name, { code, modules }] of chunks) {
    sizes[atOnce.has(name) ? 'atOnce' : 'later'] += gzipSync(code, { level: 9 }).length;
    if (!atOnce.has(name)) continue;
    for (const [path, { renderedLength }] of Object.entries(modules)) {
      const owner = packageOf(path);
      packages.set(owner, (packages.get(owner) ?? 0) + renderedLength);
    }
  }
  return { ...sizes, packages };
}

function packageOf(path: string): string {
  const installed = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path);
  return installed?.[1] ?? /\/(shared|client-sdk)\/dist\//.exec(path)?.[1] ?? 'the bundler';
}
