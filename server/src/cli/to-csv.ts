import type { RecordingReader } from '@gametape/shared';
import { stringify } from 'csv-stringify/sync';
import { type TableOptions, tableColumns, tableRows } from './table-rows.ts';

export interface CsvOptions extends TableOptions {
  /** Puts a ' before texts that a spreadsheet would take for a formula: then those are no longer exact. @default false */
  readonly isSafe?: boolean;
}

/**
 * A recording as CSV (RFC 4180: CRLF, quotes where needed, UTF-8 without a byte order mark): a row of names, then one row an event.
 * JSON values are JSON text; a cell without a value is empty, like an empty text. Each piece is a whole row.
 */
export async function* csvRows(reader: RecordingReader, options: CsvOptions = {}): AsyncGenerator<string> {
  const columns = tableColumns(reader, options);
  const layout = {
    record_delimiter: '\r\n',
    // A lone CR or LF would end the row for most readers.
    quote_record_delimiter: true,
    escape_formulas: options.isSafe ?? false,
  };
  yield stringify([columns.map(({ name }) => name)], layout);
  for await (const row of tableRows(reader, columns)) {
    const cells = row.map((cell, index) => (columns[index]?.type === 'json' ? JSON.stringify(cell) : cell));
    yield stringify([cells], layout);
  }
}
