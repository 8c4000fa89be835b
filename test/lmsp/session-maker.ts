import {
  BytesSink,
  BytesSource,
  ByteWriter,
  diff,
  encodeBody,
  type GameEvent,
  ProducerContext,
  profileNamed,
  type RecordingEnd,
  type RecordingMeta,
  RecordingReader,
  RecordingWriter,
  type State,
  type StateChange,
} from '@gametape/shared';

export const RECORDING_ID = '01JD8Z0000000000000000000A';

export interface Step {
  readonly player: string;
  readonly timeUs: number;
  readonly event?: GameEvent;
  /** The player's whole state from now on. */
  readonly state?: State;
  /** The relay made it: it has no stamp, and changes no state. */
  readonly byRelay?: boolean;
  readonly checkpoint?: string;
}

/** Makes recordings as a room would: bodies encoded by their players, entries in the order they are given. */
export class SessionMaker {
  readonly meta: RecordingMeta;
  readonly #sink = new BytesSink();
  readonly #writer: RecordingWriter;
  readonly #players = new Map<string, ProducerContext>();
  #seq = 0;

  constructor(meta: Partial<RecordingMeta> = {}) {
    this.meta = { recordingId: RECORDING_ID, room: 'lobby', profile: 'lmsp', createdAt: 1_700_000_000.5, ...meta };
    this.#writer = new RecordingWriter(this.#sink, this.meta);
  }

  async add({ player, timeUs: time, event, state, byRelay = false, checkpoint }: Step): Promise<void> {
    const context = this.#context(player);
    const writer = new ByteWriter();
    const change = state && this.#change(context, state, time);
    const body = { ...(event && { event }), ...(change && { change }) };
    encodeBody(writer, context.vocabulary, body, { editEnd: (key) => context.state.editEnd(key), learn: !byRelay });
    if (change) context.state.apply(change, time);
    const pseq = byRelay ? 0 : ++context.pseq;
    const stamp = byRelay ? null : time;
    const entry = { seq: ++this.#seq, producer: context.index, pseq, time, hlc: 0, stamp, body: writer.take() };
    await this.#writer.add(entry);
    if (checkpoint !== undefined) this.#writer.addCheckpoint(checkpoint, entry);
  }

  /** Declares that events of the player are missing. */
  addGap(player: string, firstPseq: number, lastPseq: number): void {
    this.#writer.addGap({ producer: this.#context(player).index, firstPseq, lastPseq, reason: 'lost' });
  }

  async finish(end: RecordingEnd = {}): Promise<RecordingReader> {
    await this.#writer.finish(end);
    return RecordingReader.open(new BytesSource(this.#sink.bytes()));
  }

  #context(player: string): ProducerContext {
    const known = this.#players.get(player);
    if (known) return known;
    const identity = { index: this.#players.size, player, instance: 'one' };
    const context = new ProducerContext(profileNamed(this.meta.profile), identity);
    this.#players.set(player, context);
    this.#writer.addProducer(identity);
    return context;
  }

  /** The clock key follows by itself: states given here must have it right. */
  #change(context: ProducerContext, next: State, stamp: number): StateChange {
    if (context.state.size === 0) return { form: 'keyframe', entries: Object.entries(next) };
    context.state.stamp = stamp;
    return { form: 'delta', ops: diff(context.state, next, new Set()) };
  }
}

export async function collect(pieces: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

/** The text as chunks of `size` bytes, each in a buffer that the next one overwrites. */
export async function* chunksOf(text: string | Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const buffer = new Uint8Array(size);
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = bytes.subarray(at, at + size);
    buffer.set(chunk);
    yield buffer.subarray(0, chunk.length);
  }
}

/** What is thrown, or rejected, as `CODE: message`. */
export async function failureOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return `${code}: ${message}`;
  }
  return 'nothing was thrown';
}

export async function openBytes(sink: BytesSink): Promise<RecordingReader> {
  return RecordingReader.open(new BytesSource(sink.bytes()));
}
