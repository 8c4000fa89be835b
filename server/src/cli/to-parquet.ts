import { type ByteSink, GametapeError, type Json, type RecordingReader } from '@gametape/shared';
import { type TableColumn, type TableOptions, tableColumns, tableRows } from './table-rows.ts';

type Parquet = typeof import('hyparquet-writer');

/** Rows that are in memory at once: a row group, ended by whichever comes first. */
const GROUP_ROWS = 16_384;
const GROUP_UNITS = 8 * 1024 * 1024;

const TYPES = { whole: 'INT64', number: 'DOUBLE', text: 'STRING', json: 'JSON' } as const;

/** @throws GametapeError `NOT_FOUND` where the optional package is missing */
export async function loadParquet(): Promise<Parquet> {
  try {
    return await import('hyparquet-writer');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new GametapeError('NOT_FOUND', '.parquet: the package hyparquet-writer, which writes it, is not installed', {
      cause,
      hint: 'Run `npm install hyparquet-writer`, or convert to .csv, which has the same columns.',
    });
  }
}

/**
 * Writes a recording as Parquet: the columns of the CSV with their types, a row an event. Memory holds one row group; what the
 * footer will say of each group is all that grows with the recording.
 */
export async function writeParquet(
  reader: RecordingReader,
  sink: ByteSink,
  parquet: Parquet,
  options: TableOptions = {},
): Promise<void> {
  const columns = tableColumns(reader, options);
  const bytes = new parquet.ByteWriter();
  const flush = async () => {
    const written = bytes.getBytes().slice();
    bytes.index = 0;
    await sink.write(written);
  };
  const group = new RowGroup(columns);
  const schema = parquet.schemaFromColumnData({ columnData: group.take() });
  const { recordingId, room, createdAt } = reader.meta;
  const kvMetadata = [{ key: 'gametape', value: JSON.stringify({ recordingId, room, createdAt }) }];
  const writer = new parquet.ParquetWriter({ writer: bytes, schema, kvMetadata, createdBy: 'gametape' });
  const writeGroup = async () => {
    const rowGroupSize = group.rows;
    await writer.write({ columnData: group.take(), rowGroupSize });
    await flush();
  };
  for await (const row of tableRows(reader, columns)) {
    group.add(row);
    if (group.isFull) await writeGroup();
  }
  if (group.rows > 0) await writeGroup();
  await writer.finish();
  await flush();
}

/** Rows on their way to becoming columns. */
class RowGroup {
  readonly #columns: readonly TableColumn[];
  #cells: unknown[][] = [];
  #rows = 0;
  #units = 0;

  constructor(columns: readonly TableColumn[]) {
    this.#columns = columns;
    this.#clear();
  }

  get rows(): number {
    return this.#rows;
  }

  get isFull(): boolean {
    return this.#rows >= GROUP_ROWS || this.#units >= GROUP_UNITS;
  }

  add(row: readonly Json[]): void {
    this.#rows++;
    for (const [index, { type }] of this.#columns.entries()) {
      const cell = row[index] ?? null;
      this.#cells[index]?.push(type === 'whole' && cell !== null ? BigInt(cell as number) : cell);
      if (type === 'json') this.#units += JSON.stringify(cell).length;
      else if (typeof cell === 'string') this.#units += cell.length;
    }
  }

  take() {
    const cells = this.#cells;
    this.#clear();
    return this.#columns.map(({ name, type }, index) => ({ name, type: TYPES[type], data: cells[index] ?? [] }));
  }

  #clear(): void {
    this.#cells = this.#columns.map(() => []);
    this.#rows = 0;
    this.#units = 0;
  }
}
