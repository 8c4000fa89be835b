import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { type ByteSink, GametapeError, type RecordingReader } from '@gametape/shared';
import { lmspJson, ndjsonLines } from '@gametape/shared/lmsp';
import { type Command, Option } from 'commander';
import { FileSource } from '../file-source.ts';
import { ExitCode } from './exit-code.ts';
import { UsageError } from './failure.ts';
import { FILE_FORMATS, type FileFormat, formatOfName } from './file-format.ts';
import { writeOutput } from './output-file.ts';
import { importText, openInput, openRecordingFile } from './recording-file.ts';
import { printLine, say } from './terminal.ts';

const EXAMPLES = `
Examples:
  gametape convert session.lmsp -o session.lmsp.gz        the canonical JSON, gzipped
  gametape convert session.lmsp.gz -o session.lmsp        back again, nothing lost
  gametape convert session.lmsp -o - --to ndjson | head   to standard output

Exit code 3: converted, but something of the input was lost.`;

const CHUNK_LENGTH = 256 * 1024;
const COPY_BYTES = 1024 * 1024;

interface ConvertOptions {
  readonly output: string;
  readonly to?: FileFormat;
  readonly overwrite?: true;
  readonly json?: true;
}

export function addConvert(program: Command): void {
  program
    .command('convert')
    .summary('a recording in another format')
    .description('Writes a recording in another format: .lmsp, .lmsp.gz, .json or .ndjson, told by the suffix.')
    .argument('<file>', '.lmsp, .lmsp.gz, .json or .ndjson; "-" is standard input')
    .requiredOption('-o, --output <file>', 'what to write; "-" is standard output')
    .addOption(new Option('--to <format>', 'the format, where the suffix does not say it').choices(FILE_FORMATS))
    .option('--overwrite', 'replace the output if it is there')
    .option('--json', 'say what was written as one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, options: ConvertOptions) => {
      const { output, overwrite = false } = options;
      const format = targetFormat(options);
      const isStdout = output === '-';
      const convertTo = (sink: ByteSink) => convert(path, format, sink);
      const losses = isStdout ? await convertTo(STDOUT) : await writeOutput(output, { overwrite }, convertTo);
      for (const loss of losses) say(loss);
      if (losses.length > 0) process.exitCode = ExitCode.Losses;
      if (options.json && !isStdout) await printLine(JSON.stringify({ output, format, losses }));
    });
}

function targetFormat({ output, to }: ConvertOptions): FileFormat {
  const format = to ?? formatOfName(output);
  if (format !== undefined) return format;
  if (output === '-') throw new UsageError('standard output has no suffix to tell the format', 'Add --to FORMAT.');
  throw new GametapeError('FORMAT_UNKNOWN', `${output}: the suffix names no format`);
}

/** Resolves with what could not be converted, in readable lines. Memory does not grow with the recording (R6). */
async function convert(path: string, format: FileFormat, sink: ByteSink): Promise<readonly string[]> {
  if (format === 'lmsp') return toBinary(path, sink);
  const file = await openRecordingFile(path);
  try {
    const texts = format === 'ndjson' ? ndjsonLines(file.reader) : canonicalJson(file.reader, format);
    const drain = async (chunks: AsyncIterable<Uint8Array>) => {
      for await (const chunk of chunks) await sink.write(chunk);
    };
    if (format === 'lmsp.gz') await pipeline(inChunks(texts), createGzip(), drain);
    else await pipeline(inChunks(texts), drain);
    return file.losses;
  } finally {
    await file.close();
  }
}

function canonicalJson(reader: RecordingReader, format: 'json' | 'lmsp.gz'): AsyncGenerator<string> {
  return lmspJson(reader, { indent: format === 'json' ? 2 : 0 });
}

/** A binary recording is copied as it is: nothing of it is re-signed (R3). */
async function toBinary(path: string, sink: ByteSink): Promise<readonly string[]> {
  const input = await openInput(path);
  try {
    if (input.format !== 'lmsp') return await importText(input, sink);
    const { losses, close } = await openRecordingFile(input.path);
    await close();
    const source = await FileSource.open(input.path);
    try {
      for (let offset = 0; offset < input.bytes; offset += COPY_BYTES)
        await sink.write(await source.read(offset, COPY_BYTES));
    } finally {
      await source.close();
    }
    return losses;
  } finally {
    input.close();
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
