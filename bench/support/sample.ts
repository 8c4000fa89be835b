import { readFile } from 'node:fs/promises';
import { NODE_COMPRESSION } from '@gametape/server';
import { BytesSource, RecordingReader, type TimelineEntry } from '@gametape/shared';
import type { Timeline } from './offline-room.ts';
import { number } from './print.ts';

/** A recording in memory, to write again and to read. */
export interface Sample {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly reader: RecordingReader;
  /** How many events it has. */
  readonly events: number;
}

export async function sampleOf(name: string, bytes: Uint8Array): Promise<Sample> {
  const reader = await RecordingReader.open(new BytesSource(bytes, name), NODE_COMPRESSION);
  return { name, bytes, reader, events: reader.summary?.events ?? 0 };
}

export async function sampleAt(name: string, path: string): Promise<Sample> {
  return sampleOf(name, await readFile(path));
}

/** Its entries, as they were when it was written. */
export async function timelineOf({ reader }: Sample): Promise<Timeline> {
  const entries: TimelineEntry[] = [];
  for await (const { entry } of reader.steps()) entries.push(entry);
  return { entries, checkpoints: new Map(reader.checkpoints.map(({ name, seq }) => [seq, name])) };
}

/** For the title of a table. */
export function titleOf({ name, events, bytes, reader }: Sample): string {
  return `${name}: ${number(events)} events, ${number(bytes.length)} bytes, ${reader.blocks.length} blocks`;
}
