import { posix } from 'node:path';

/** A source file, with its path from the root of the repository (`shared/src/index.ts`). */
export interface SourceFile {
  readonly path: string;
  readonly source: string;
}

export interface Import {
  readonly specifier: string;
  /** Gone when the code runs: `import type`, `export type`. */
  readonly isType: boolean;
}

const OWN_PACKAGE = /^@gametape\/([a-z-]+)/;
const WIRED_BY_RELAY = /(^|\/)(ws-transport|uws-transport|file-journal|memory-journal|redis-journal)\.ts$/;
const MAY_WIRE = ['server/src/relay.ts', 'server/src/index.ts'];
const NODE_ONLY_SDK = /^client-sdk\/src\/(node|platform\/(node[a-z-]*|file-spool))\.ts$/;
const SHARED_PACKAGES = ['fflate', 'msgpackr', 'zod'];

/** Every wrong arrow among `files`, one sentence each, naming the file; none when all is well. */
export function checkImports(files: readonly SourceFile[]): string[] {
  const faults: string[] = [];
  const graph = new Map<string, string[]>();
  for (const file of files) {
    const imports = importsOf(file.source);
    for (const { specifier } of imports) {
      const fault = isRelative(specifier) ? relativeFault(file.path, specifier) : packageFault(file.path, specifier);
      if (fault) faults.push(`${file.path} imports ${specifier}: ${fault}`);
    }
    const runtime = imports.filter((one) => !one.isType && isRelative(one.specifier));
    graph.set(
      file.path,
      runtime.map((one) => resolve(file.path, one.specifier)),
    );
  }
  return [...faults, ...cyclesOf(graph).map((cycle) => `import cycle: ${cycle.join(' -> ')}`)];
}

/** The specifiers of all imports, re-exports and dynamic imports; the code is formatted, so each starts its line. */
export function importsOf(source: string): Import[] {
  const code = source.replace(/^\s*\/\*[\s\S]*?\*\//gm, '').replace(/^\s*\/\/.*$/gm, '');
  const bindings = String.raw`(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\}|[\w$]+(?:\s*,\s*(?:\{[^}]*\}|\*\s+as\s+[\w$]+))?)`;
  const statement = new RegExp(String.raw`^(?:import|export)\s+(type\s+)?${bindings}\s+from\s+['"]([^'"]+)['"]`, 'gm');
  const named = [...code.matchAll(statement)].map(([, type, specifier = '']) => ({ specifier, isType: !!type }));
  const others = [...code.matchAll(/^import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm)];
  return [...named, ...others.map(([, bare, dynamic]) => ({ specifier: bare ?? dynamic ?? '', isType: false }))];
}

function relativeFault(path: string, specifier: string): string | undefined {
  const target = resolve(path, specifier);
  if (packageOf(target) !== packageOf(path)) return 'a relative import leaves its package';
  if (WIRED_BY_RELAY.test(target) && !MAY_WIRE.includes(path)) return 'only server/src/relay.ts names concrete classes';
  if (NODE_ONLY_SDK.test(target) && !NODE_ONLY_SDK.test(path)) return 'it would reach the browser build';
  return undefined;
}

function packageFault(path: string, specifier: string): string | undefined {
  const own = OWN_PACKAGE.exec(specifier)?.[1];
  if (own) return mayImportOwn(path, own) ? undefined : `${packageOf(path)} may not import ${own} here`;
  const isNode = specifier.startsWith('node:') || specifier === 'ws';
  switch (packageOf(path)) {
    case 'shared':
      return sharedFault(path, specifier);
    case 'client-sdk':
      return isNode && !NODE_ONLY_SDK.test(path)
        ? 'only node.ts and platform/node*.ts may use Node, and file-spool.ts'
        : undefined;
    case 'viewer':
      return isNode ? 'the viewer runs in a browser' : undefined;
    default:
      return undefined;
  }
}

/** The viewer that the server imports is its built files, not its code. */
function mayImportOwn(path: string, target: string): boolean {
  switch (packageOf(path)) {
    case 'client-sdk':
      return target === 'shared';
    case 'viewer':
      return target === 'shared' || target === 'client-sdk';
    case 'server':
      if (target === 'client-sdk') return path.startsWith('server/src/cli/');
      return target === 'shared' || target === 'viewer';
    default:
      return false;
  }
}

function sharedFault(path: string, specifier: string): string | undefined {
  const [name = ''] = specifier.split('/');
  if (!SHARED_PACKAGES.includes(name)) return `shared may import only ${SHARED_PACKAGES.join(', ')}`;
  if (name === 'zod' && !path.startsWith('shared/src/lmsp/')) return 'zod stays in shared/src/lmsp';
  return undefined;
}

/** The first cycle met from each file that is not part of one already reported; the last file repeats the first. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const done = new Set<string>();
  const trail: string[] = [];
  const cycles: string[][] = [];
  const visit = (path: string): void => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push([...trail.slice(start), path]);
    if (start >= 0 || done.has(path)) return;
    trail.push(path);
    for (const next of graph.get(path) ?? []) visit(next);
    trail.pop();
    done.add(path);
  };
  for (const path of graph.keys()) visit(path);
  return cycles;
}

function isRelative(specifier: string): boolean {
  return specifier.startsWith('.');
}

function resolve(path: string, specifier: string): string {
  return posix.join(posix.dirname(path), specifier.replace(/\?.*$/, ''));
}

function packageOf(path: string): string {
  return path.split('/')[0] ?? '';
}
