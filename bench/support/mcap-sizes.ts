import { DEFAULT_CHUNK_BYTES, writeMcap } from './mcap-file.ts';
import { bodiesByPlayer, editsByPlayer, editsByPlayerAndType, inLayout, type McapLayout } from './mcap-layouts.ts';
import { withKeyframes } from './mcap-states.ts';
import type { PeerEvent } from './peer-events.ts';
import { number } from './print.ts';

const KIB = 1024;
const CHUNKS = [64 * KIB, 256 * KIB, DEFAULT_CHUNK_BYTES, 4 * DEFAULT_CHUNK_BYTES] as const;

const LAYOUTS: readonly (readonly [name: string, layout: McapLayout])[] = [
  ['JSON, a channel a player', editsByPlayer],
  ['JSON, a channel a player and type', editsByPlayerAndType],
  ['our bodies, a channel a player', bodiesByPlayer],
];

export interface McapSize {
  readonly name: string;
  readonly bytes: number;
}

export interface McapSizes {
  /** State as deltas, one channel a player, the library's own chunk size. */
  readonly usual: McapSize;
  /** Each layout with the chunk size that makes it smallest. */
  readonly best: readonly McapSize[];
  /** The usual one with what a seek needs. */
  readonly seekable: McapSize;
}

/** How long MCAP files of the same events are. */
export async function mcapSizes(events: readonly PeerEvent[]): Promise<McapSizes> {
  const sizes: McapSize[][] = [];
  for (const [layoutName, layout] of LAYOUTS) {
    const ofLayout: McapSize[] = [];
    for (const chunkBytes of CHUNKS) {
      const { length } = await writeMcap(inLayout(events, layout), { chunkBytes });
      ofLayout.push({ name: `MCAP, ${layoutName}, chunks of ${number(chunkBytes / KIB)} KiB`, bytes: length });
    }
    sizes.push(ofLayout);
  }
  const usual = sizes[0]?.[CHUNKS.indexOf(DEFAULT_CHUNK_BYTES)];
  if (!usual) throw new Error('no MCAP file was written');
  const seekable = (await writeMcap(withKeyframes(events))).length;
  return {
    usual,
    best: sizes.map((ofLayout) => ofLayout.reduce((best, size) => (size.bytes < best.bytes ? size : best))),
    seekable: { name: `${usual.name}, keyframes every 30 s`, bytes: seekable },
  };
}
