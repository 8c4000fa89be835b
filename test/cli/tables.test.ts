import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { emptyGameState } from '@gametape/shared/lmsp';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';
import { describe, expect, test } from 'vitest';
import { tempDir } from '../support/temp-dir.ts';
import { demoRecording } from './demo-recording.ts';
import { gametape } from './gametape.ts';
import { parseCsv } from './rfc4180.ts';

const recording = demoRecording(5);
const EVENT_NAMES = ['index', 'seq', 'timestamp', 'player', 'type', 'data'];
const STATE_NAMES = [
  'challenge_id',
  'tests_passing',
  'tests_total',
  'hints_used',
  'cursor_line',
  'cursor_column',
  'code_length',
  'emotion',
  'emotion_value',
  'session_duration',
];
/** Texts that CSV, spreadsheets or line counters trip over. */
const NASTY = ['a,b', '"', '""', 'a\r\nb', '\r', '\n', ' x ', '=1+1', '+1', '-1', '@cmd', '\tx', 'é😀', '', ';', "'"];

/** The demo, and an event of a nasty name for each nasty text. */
function nastyRecording() {
  const last = recording.events.at(-1)?.timestamp ?? 0;
  const nasty = NASTY.map((text, index) => ({
    timestamp: last + (index + 1) / 10,
    event: { type: 'player_message', player_id: text, data: { message: text } },
    game_state: { ...emptyGameState(text), current_code: text, challenge_id: text, current_emotion: [text, -0.5] },
  }));
  return { ...recording, events: [...recording.events, ...nasty] };
}

async function written(document: object): Promise<{ directory: string; json: string; lmsp: string }> {
  const directory = await tempDir();
  const [json, lmsp] = [join(directory, 'in.json'), join(directory, 'in.lmsp')];
  await writeFile(json, JSON.stringify(document));
  expect(await gametape(['convert', json, '-o', lmsp])).toMatchObject({ code: 0, stderr: '' });
  return { directory, json, lmsp };
}

/** What the cells of a row are to be, as values. */
function cellsOf(
  { timestamp, event, game_state: state }: ReturnType<typeof nastyRecording>['events'][number],
  index: number,
) {
  const [line, column] = state.cursor_position as [number, number];
  const [emotion, value] = (state.current_emotion ?? [null, null]) as [string | null, number | null];
  return {
    index,
    seq: index + 1,
    timestamp,
    player: event.player_id,
    type: event.type,
    data: event.data,
    challenge_id: state.challenge_id,
    tests_passing: state.tests_passing,
    tests_total: state.tests_total,
    hints_used: state.hints_used,
    cursor_line: line,
    cursor_column: column,
    code_length: [...state.current_code].length,
    emotion,
    emotion_value: value,
    session_duration: state.session_duration,
  };
}

describe('convert to .csv', () => {
  test('writes a row of names and a row an event, exactly (RFC 4180)', async () => {
    const document = nastyRecording();
    const { lmsp } = await written(document);
    const { code, stdout } = await gametape(['convert', lmsp, '-o', '-', '--to', 'csv', '--state']);
    expect(code).toBe(0);
    const [names = [], ...rows] = parseCsv(stdout);
    expect(names).toEqual([...EVENT_NAMES, ...STATE_NAMES, 'state']);
    const found = rows.map((row) => Object.fromEntries(row.map((cell, index) => [names[index], cell])));
    const expected = document.events.map((event, index) => {
      const { data, ...cells } = cellsOf(event, index);
      return Object.fromEntries(Object.entries(cells).map(([name, cell]) => [name, cell === null ? '' : String(cell)]));
    });
    expect(found.map(({ data, state, ...cells }) => cells)).toEqual(expected);
    expect(found.map(({ data = '' }) => JSON.parse(data))).toEqual(document.events.map(({ event }) => event.data));
    expect(found.map(({ state = '' }) => JSON.parse(state))).toEqual(
      document.events.map(({ game_state }) => game_state),
    );
  });

  test('with --csv-safe no text starts like a formula', async () => {
    const { lmsp } = await written(nastyRecording());
    const { stdout } = await gametape(['convert', lmsp, '-o', '-', '--to', 'csv', '--csv-safe']);
    const cells = parseCsv(stdout).flat();
    expect(
      cells.filter((cell) => /^[=+@\t\r]/.test(cell) || (cell.startsWith('-') && !/^-[\d.]+$/.test(cell))),
    ).toEqual([]);
    expect(cells).toContain("'=1+1");
    expect(cells).toContain('-0.5');
    expect(cells).toContain("'-1");
  });

  test('[L5] of another game has the columns of its events', async () => {
    const events = [
      { timestamp: 1, event: { type: 'jump', player_id: 'p', data: { high: true } }, game_state: { hp: 3 } },
    ];
    const { lmsp } = await written({ ...recording, profile: 'json', checkpoints: {}, events });
    const { stdout } = await gametape(['convert', lmsp, '-o', '-', '--to', 'csv', '--state']);
    expect(parseCsv(stdout)).toEqual([
      [...EVENT_NAMES, 'state'],
      ['0', '1', '1', 'p', 'jump', '{"high":true}', '{"hp":3}'],
    ]);
  });

  test('of no events is the names alone', async () => {
    const { lmsp } = await written({ ...recording, checkpoints: {}, events: [] });
    const { stdout } = await gametape(['convert', lmsp, '-o', '-', '--to', 'csv']);
    expect(parseCsv(stdout)).toEqual([[...EVENT_NAMES, ...STATE_NAMES]]);
  });
});

describe('convert to .parquet', () => {
  test('writes the same columns with their types', async () => {
    const document = nastyRecording();
    const { directory, lmsp } = await written(document);
    const path = join(directory, 'out.parquet');
    expect(await gametape(['convert', lmsp, '-o', path, '--state'])).toMatchObject({ code: 0, stderr: '' });
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const types = parquetSchema(metadata).children.map(({ element }) => [
      element.name,
      element.converted_type ?? element.type,
    ]);
    const columns = Object.fromEntries(types) as Record<string, string>;
    expect(Object.keys(columns)).toEqual([...EVENT_NAMES, ...STATE_NAMES, 'state']);
    expect(columns).toMatchObject({ index: 'INT64', timestamp: 'DOUBLE', player: 'UTF8', data: 'JSON', state: 'JSON' });
    const rows = await parquetReadObjects({ file });
    const plain = rows.map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, cell]) => [name, typeof cell === 'bigint' ? Number(cell) : cell]),
      ),
    );
    expect(plain).toEqual(
      document.events.map((event, index) => ({ ...cellsOf(event, index), state: event.game_state })),
    );
  });

  test('of no events is a table without rows', async () => {
    const { directory, lmsp } = await written({ ...recording, checkpoints: {}, events: [] });
    const path = join(directory, 'out.parquet');
    expect((await gametape(['convert', lmsp, '-o', path])).code).toBe(0);
    const file = await asyncBufferFromFile(path);
    expect(await parquetReadObjects({ file })).toEqual([]);
    expect(parquetSchema(await parquetMetadataAsync(file)).children).toHaveLength(16);
  });

  test('says how to install what it needs, and leaves nothing behind', async () => {
    const { directory, lmsp } = await written(recording);
    const hooks = join(directory, 'hooks.mjs');
    await writeFile(
      hooks,
      `export async function resolve(name, context, next) {
        if (name !== 'hyparquet-writer') return next(name, context);
        throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
      }`,
    );
    const register = join(directory, 'register.mjs');
    await writeFile(
      register,
      `import { register } from 'node:module'; register(${JSON.stringify(pathToFileURL(hooks).href)});`,
    );
    const env = { NODE_OPTIONS: `--import ${pathToFileURL(register).href}` };
    const path = join(directory, 'out.parquet');
    const { code, stderr } = await gametape(['convert', lmsp, '-o', path], { env });
    expect(code).toBe(1);
    expect(stderr).toContain('hyparquet-writer');
    expect(stderr).toContain('npm install hyparquet-writer');
    await expect(readFile(path)).rejects.toThrow('ENOENT');
    expect((await gametape(['convert', lmsp, '-o', join(directory, 'out.csv')], { env })).code).toBe(0);
  });
});

describe('a table', () => {
  test('is no recording: reading one says so, whatever its name', async () => {
    const { directory, lmsp } = await written(recording);
    for (const format of ['csv', 'parquet']) {
      const [named, misnamed] = [join(directory, `table.${format}`), join(directory, `${format}.json`)];
      expect((await gametape(['convert', lmsp, '-o', named])).code).toBe(0);
      await writeFile(misnamed, await readFile(named));
      for (const path of [named, misnamed]) {
        const { code, stdout, stderr } = await gametape([
          'convert',
          path,
          '-o',
          join(directory, 'back.lmsp'),
          '--json',
        ]);
        expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
        const { error } = JSON.parse(stderr) as { error: { code: string; message: string; hint: string } };
        expect(error).toMatchObject({
          code: 'FORMAT_UNKNOWN',
          message: `${path}: expected a recording, found a table of its events`,
        });
        expect(error.hint).toContain('convert from the recording');
      }
    }
  });

  test('has options that other formats have no use for', async () => {
    const { directory, lmsp } = await written(recording);
    for (const [option, name] of [
      ['--state', 'x.json'],
      ['--csv-safe', 'x.parquet'],
    ] as const) {
      const { code, stderr } = await gametape(['convert', lmsp, '-o', join(directory, name), option]);
      expect(code).toBe(2);
      expect(stderr).toContain(`${option} is for .csv`);
    }
  });
});
