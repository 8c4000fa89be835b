import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { type ByteSink, GametapeError } from '@gametape/shared';
import { lmspJson, ndjsonLines } from '@gametape/shared/lmsp';
import { type Command, Option } from 'commander';
import { FILE_HELP } from './arguments.ts';
import { ExitCode } from './exit-code.ts';
import { UsageError } from './failure.ts';
import { formatOfName, isTable, OUTPUT_FORMATS, type OutputFormat } from './file-format.ts';
import { writeOutput } from './output-file.ts';
import { withProgress } from './progress.ts';
import {
  type InputFile,
  importText,
  openInput,
  openInputRecording,
  openRecordingFile,
  type RecordingFile,
} from './recording-file.ts';
import { printLine, say } from './terminal.ts';
import { csvRows } from './to-csv.ts';
import { loadParquet, writeParquet } from './to-parquet.ts';

const EXAMPLES = `
Examples:
  gametape convert session.lmsp -o session.lmsp.gz        the canonical JSON, gzipped
  gametape convert session.lmsp.gz -o session.lmsp        back again, nothing lost
  gametape convert session.lmsp -o - --to ndjson | head   to standard output
  gametape convert old-session.bin -o session.lmsp        the seed's BinaryFormat (Python pickle); nothing of it is run
  gametape convert session.lmsp -o events.csv             a table: one row an event, for spreadsheets and notebooks
  gametape convert session.lmsp -o events.parquet --state with the whole state in each row

Tables have the columns index, seq, timestamp, player, type and data (JSON); those of LMSP rooms also challenge_id,
tests_passing, tests_total, hints_used, cursor_line, cursor_column, code_length, emotion, emotion_value and
session_duration, as they are after the event. They cannot be converted back. Parquet needs the package hyparquet-writer.

Exit code 3: converted, but something of the input was lost.`;

const CHUNK_LENGTH = 256 * 1024;
const COPY_BYTES = 1024 * 1024;

interface ConvertOptions {
  readonly output: string;
  readonly to?: OutputFormat;
  readonly state?: true;
  readonly csvSafe?: true;
  readonly overwrite?: true;
  readonly json?: true;
}

export function addConvert(program: Command): void {
  program
    .command('convert')
    .summary('a recording in another format')
    .description(
      'Writes a recording in another format, told by the suffix: .lmsp, .lmsp.gz, .json, .ndjson, .csv or .parquet.',
    )
    .argument('<file>', FILE_HELP)
    .requiredOption('-o, --output <file>', 'what to write; "-" is standard output')
    .addOption(new Option('--to <format>', 'the format, where the suffix does not say it').choices(OUTPUT_FORMATS))
    .option('--state', "tables: with the player's whole state in each row")
    .option('--csv-safe', ".csv: a ' before texts that a spreadsheet would run as formulas")
    .option('--overwrite', 'replace the output if it is there')
    .option('--json', 'say what was written as one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, options: ConvertOptions) => {
      const { output, overwrite = false } = options;
      const format = targetFormat(options);
      const isStdout = output === '-';
      const convertTo = (sink: ByteSink) => convert(path, { ...options, format }, sink);
      const losses = isStdout ? await convertTo(STDOUT) : await writeOutput(output, { overwrite }, convertTo);
      for (const loss of losses) say(loss);
      if (losses.length > 0) process.exitCode = ExitCode.Losses;
      if (options.json && !isStdout) await printLine(JSON.stringify({ output, format, losses }));
    });
}

function targetFormat({ output, to, state, csvSafe }: ConvertOptions): OutputFormat {
  const format = to ?? formatOfName(output);
  if (format === undefined) {
    if (output === '-') throw new UsageError('standard output has no suffix to tell the format', 'Add --to FORMAT.');
    const hint = 'Use one of .lmsp, .lmsp.gz, .json or .ndjson, or .csv or .parquet for a table.';
    throw new GametapeError('FORMAT_UNKNOWN', `${output}: the suffix names no format`, { hint });
  }
  if (state && !isTable(format))
    throw new UsageError('--state is for .csv and .parquet', 'Other formats have all states.');
  if (csvSafe && format !== 'csv') throw new UsageError('--csv-safe is for .csv', 'Other formats run no formulas.');
  return format;
}

type Target = Pick<ConvertOptions, 'state' | 'csvSafe'> & { readonly format: OutputFormat };

/** Resolves with what could not be converted, in readable lines. Memory does not grow with the recording (R6). */
async function convert(path: string, target: Target, sink: ByteSink): Promise<readonly string[]> {
  if (target.format === 'lmsp') return toBinary(path, sink);
  const file = await openRecordingFile(path);
  try {
    const work = async (advance: (bytes: number) => void) => {
      file.source.onRead = advance;
      if (target.format === 'parquet') await writeParquet(file.reader, sink, await loadParquet(), target);
      else await writeText(file, target, sink);
    };
    await withProgress('Converting', file.reader.bytes, work, { toStdout: sink === STDOUT });
    return file.losses;
  } finally {
    await file.close();
  }
}

async function writeText(file: RecordingFile, target: Target, sink: ByteSink): Promise<void> {
  const drain = async (chunks: AsyncIterable<Uint8Array>) => {
    for await (const chunk of chunks) await sink.write(chunk);
  };
  const chunks = inChunks(textOf(file, target));
  if (target.format === 'lmsp.gz') await pipeline(chunks, createGzip(), drain);
  else await pipeline(chunks, drain);
}

function textOf({ reader }: RecordingFile, { format, state, csvSafe }: Target): AsyncGenerator<string> {
  if (format === 'ndjson') return ndjsonLines(reader);
  if (format === 'csv') return csvRows(reader, { state: state === true, isSafe: csvSafe === true });
  return lmspJson(reader, { indent: format === 'json' ? 2 : 0 });
}

/** A binary recording is copied as it is: nothing of it is re-signed (R3). */
async function toBinary(path: string, sink: ByteSink): Promise<readonly string[]> {
  const input = await openInput(path);
  try {
    return input.format === 'lmsp' ? await copy(input, sink) : await importText(input, sink);
  } finally {
    input.close();
  }
}

async function copy(input: InputFile, sink: ByteSink): Promise<readonly string[]> {
  const { source, losses, close } = await openInputRecording(input);
  try {
    await withProgress(
      'Copying',
      input.bytes,
      async (advance) => {
        source.onRead = advance;
        for (let offset = 0; offset < input.bytes; offset += COPY_BYTES)
          await sink.write(await source.read(offset, COPY_BYTES));
      },
      { toStdout: sink === STDOUT },
    );
    return losses;
  } finally {
    await close();
  }
}

const STDOUT: ByteSink = {
  write: (bytes) =>
    new Promise((resolve, reject) => process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()))),
};

/** Small pieces of text as few pieces of bytes. */
async function* inChunks(texts: AsyncIterable<string>): AsyncGenerator<Buffer> {
  let chunk = '';
  for await (const text of texts) {
    chunk += text;
    if (chunk.length < CHUNK_LENGTH) continue;
    yield Buffer.from(chunk);
    chunk = '';
  }
  if (chunk !== '') yield Buffer.from(chunk);
}
