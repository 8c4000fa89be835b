import type { ByteSource } from '@gametape/shared';
import { onKilled } from './interruption.ts';
import { ProgressLine, paint } from './terminal.ts';

const BAR_WIDTH = 32;
const DEFAULT_COLUMNS = 80;

/**
 * Shows on stderr how far `work` is, as it calls `advance` with the bytes it has done, and takes that away when it ends, fails or
 * is interrupted. Shows nothing where stderr is no terminal, or where `work` writes data to the same one (`toStdout`). Without a `totalBytes` there is no end to show.
 *
 * Not by the progress of @clack/prompts: that one reads standard input as long as it is shown, which takes the rest of the list
 * from `while read` loops, and turns Ctrl-C into exit code 0 without any clean-up.
 */
export async function withProgress<Result>(
  label: string,
  totalBytes: number | undefined,
  work: (advance: (bytes: number) => void) => Promise<Result>,
  { toStdout = false }: { toStdout?: boolean } = {},
): Promise<Result> {
  // It would be written over the data.
  if (toStdout && process.stdout.isTTY) return work(() => {});
  const line = new ProgressLine();
  const forget = onKilled(() => line.clear());
  let done = 0;
  const advance = (bytes: number) => {
    done += bytes;
    line.update(() => toLine(label, done, totalBytes));
  };
  advance(0);
  try {
    return await work(advance);
  } finally {
    line.clear();
    forget();
  }
}

/** A source that says how much is read from it. Its owner closes the one below. */
export class MeteredSource implements ByteSource {
  readonly name: string;
  /** Is called with the length of each read. */
  onRead: (bytes: number) => void;
  readonly #source: ByteSource;

  constructor(source: ByteSource, options: { name?: string; onRead?: (bytes: number) => void } = {}) {
    this.name = options.name ?? source.name;
    this.onRead = options.onRead ?? (() => {});
    this.#source = source;
  }

  size(): Promise<number> {
    return this.#source.size();
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = await this.#source.read(offset, length);
    this.onRead(bytes.length);
    return bytes;
  }
}

/** The same parts, each counted as it is taken. */
export async function* metered(
  parts: AsyncIterable<Uint8Array>,
  advance: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const part of parts) {
    advance(part.length);
    yield part;
  }
}

/** Never as wide as the terminal: a line that wraps cannot be written over. */
function toLine(label: string, done: number, total: number | undefined): string {
  const room = (process.stderr.columns || DEFAULT_COLUMNS) - 1;
  if (total === undefined) return `${label} ${megabytes(done)} MB`.slice(0, room);
  // Some of a file is read twice, such as its footer.
  const share = total > 0 ? Math.min(1, done / total) : 1;
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const amount = `${megabytes(Math.min(done, total))} of ${megabytes(total)} MB`;
  const width = Math.min(BAR_WIDTH, room - label.length - percent.length - amount.length - 4);
  if (width < 4) return `${label}${percent}`.slice(0, room);
  const filled = Math.round(share * width);
  const bar = `${paint('cyan', '━'.repeat(filled))}${paint('dim', '─'.repeat(width - filled))}`;
  return `${label} ${bar} ${percent}  ${amount}`;
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1);
}
