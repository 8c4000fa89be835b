import { describe, expect, test } from 'vitest';
import { checkImports, importsOf, type SourceFile } from './support/check-imports.ts';
import { readSources } from './support/sources.ts';

describe('the import arrows of the repository', () => {
  const files = ['shared', 'client-sdk', 'server', 'viewer'].flatMap((name) => readSources(`${name}/src`));

  test('every package has sources to check', () => {
    const packages = new Set(files.map((file) => file.path.split('/')[0]));
    expect([...packages]).toEqual(['shared', 'client-sdk', 'server', 'viewer']);
  });

  test('no import goes against the arrows', () => {
    expect(checkImports(files)).toEqual([]);
  });
});

describe('the checker', () => {
  test('accepts the arrows of the design', () => {
    const files = [
      file('shared/src/index.ts', "import { unzip } from 'fflate';\nexport * from './bytes/crc32.ts';"),
      file('shared/src/lmsp/schema.ts', "import { z } from 'zod';"),
      file('client-sdk/src/session.ts', "import { diff } from '@gametape/shared';"),
      file('client-sdk/src/platform/node-socket.ts', "import { WebSocket } from 'ws';\nimport 'node:net';"),
      file('client-sdk/src/node.ts', "import { open } from './platform/node-socket.ts';"),
      file('viewer/src/main.tsx', "import { spectate } from '@gametape/client-sdk';\nimport './style.css';"),
      file('server/src/relay.ts', "import { FileJournal } from './journal/file-journal.ts';"),
      file('server/src/cli/bots.ts', "import { connect } from '@gametape/client-sdk';"),
    ];
    expect(checkImports(files)).toEqual([]);
  });

  test.each([
    ['shared/src/a.ts', 'shared may not import client-sdk here', "import { connect } from '@gametape/client-sdk';"],
    ['shared/src/a.ts', 'zod stays in shared/src/lmsp', "import { z } from 'zod';"],
    ['shared/src/a.ts', 'shared may import only fflate, msgpackr, zod', "import { readFile } from 'node:fs';"],
    ['shared/src/a.ts', 'shared may import only fflate, msgpackr, zod', "import type { WebSocket } from 'ws';"],
    ['client-sdk/src/a.ts', 'client-sdk may not import server here', "export { x } from '@gametape/server';"],
    ['client-sdk/src/a.ts', 'only node.ts and platform/node*.ts may use Node', "const ws = await import('ws');"],
    ['client-sdk/src/a.ts', 'it would reach the browser build', "import { x } from './platform/node-file.ts';"],
    ['viewer/src/a.tsx', 'viewer may not import server here', "import { Relay } from '@gametape/server/relay';"],
    ['viewer/src/a.tsx', 'the viewer runs in a browser', "import 'node:fs';"],
    ['server/src/http/a.ts', 'server may not import client-sdk here', "import { x } from '@gametape/client-sdk';"],
    ['server/src/cli/a.ts', 'server may not import test here', "import { x } from '@gametape/test';"],
    [
      'server/src/cli/a.ts',
      'a relative import leaves its package',
      "import { x } from '../../../shared/src/event.ts';",
    ],
    [
      'server/src/cli/a.ts',
      'only server/src/relay.ts names concrete classes',
      "import {\n  FileJournal,\n} from '../journal/file-journal.ts';",
    ],
    [
      'server/src/room/a.ts',
      'only server/src/relay.ts names concrete',
      "export * from '../transport/ws-transport.ts';",
    ],
  ])('in %s reports: %s', (path, fault, source) => {
    expect(checkImports([file(path, source)])).toEqual([expect.stringContaining(fault)]);
  });

  test('reports a cycle once, and none where the way back is a type', () => {
    const forth = file('shared/src/a.ts', "import { b } from './b.ts';");
    const back = "import { a } from './a.ts';";
    expect(checkImports([forth, file('shared/src/b.ts', back)])).toEqual([
      'import cycle: shared/src/a.ts -> shared/src/b.ts -> shared/src/a.ts',
    ]);
    expect(checkImports([forth, file('shared/src/b.ts', back.replace('import', 'import type'))])).toEqual([]);
  });

  test('does not take comments, strings or other exports for imports', () => {
    const source = [
      "/** Like `import { x } from 'ws'`. */",
      "// import 'ws';",
      'export const from = 1;',
      "export function read(): string { return 'from'; }",
      '  const text = "import x from \'ws\'";',
    ].join('\n');
    expect(importsOf(source)).toEqual([]);
  });
});

function file(path: string, source: string): SourceFile {
  return { path, source };
}
