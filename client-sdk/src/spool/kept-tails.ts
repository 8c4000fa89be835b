import {
  ByteReader,
  type Crc32,
  decodeUpMessage,
  type EventsUp,
  isGametapeError,
  ProducerContext,
  profileNamed,
  readKeyframe,
} from '@gametape/shared';
import type { KeptTail, KeptTailsOptions, TailEvent } from '../api.ts';
import type { Platform } from '../platform/platform.ts';
import { inTime, openStore } from './open-store.ts';
import type { SpoolName } from './spool.ts';
import { readSpool, type SpoolContent, type SpooledMessage, type SpoolStart } from './spool-records.ts';

/** What earlier sessions left and no recording can take any more, oldest first. @throws GametapeError `SPOOL_FAILED` */
export async function readKeptTails(platform: Platform, options: KeptTailsOptions): Promise<KeptTail[]> {
  const { room, player } = options;
  const store = await openStore(platform, options);
  try {
    const isWanted = (name: SpoolName) => name.room === (room ?? name.room) && name.player === (player ?? name.player);
    const kept: KeptTail[] = [];
    for (const spool of await inTime(store.takeOver(isWanted))) {
      const content = readSpool(await inTime(spool.read()), platform.crc32);
      if (content.refusal) kept.push(keptTail(platform, options, spool.name, content));
    }
    return kept;
  } finally {
    await store.close();
  }
}

function keptTail(platform: Platform, options: KeptTailsOptions, name: SpoolName, content: SpoolContent): KeptTail {
  const { room, player, instance, createdMs } = name;
  const { refusal, starts } = content;
  return {
    room,
    player,
    instance,
    createdAt: new Date(createdMs),
    recordingId: starts.at(-1)?.start.head.recordingId,
    reason: { code: refusal?.code ?? '', message: refusal?.message ?? '' },
    events: () => eventsOf(content, platform.crc32),
    discard: () => discard(platform, options, instance),
  };
}

async function discard(platform: Platform, options: KeptTailsOptions, instance: string): Promise<void> {
  const store = await openStore(platform, options);
  try {
    for (const spool of await inTime(store.takeOver((name) => name.instance === instance)))
      await inTime(spool.remove());
  } finally {
    await store.close();
  }
}

/** The events of a tail, decoded from where their segment begins: those that are stable too, as what follows goes on from them. */
function* eventsOf({ messages, starts, stable }: SpoolContent, crc32: Crc32): Generator<TailEvent> {
  let context: ProducerContext | undefined;
  for (const [at, spooled] of messages.entries()) {
    const start = starts.findLast((one) => one.at === at)?.start;
    if (start) context = contextAt(start, crc32);
    const message = decodeUpMessage(spooled.bytes);
    if (message.kind === 'gap') context?.skipTo(message.lastPseq);
    if (message.kind !== 'events-up') continue;
    for (const event of decoded(spooled, message, context, crc32)) if (event.number > stable) yield event;
  }
}

function* decoded(
  { stamps, clock, wallMs }: SpooledMessage,
  { firstPseq, events }: EventsUp,
  context: ProducerContext | undefined,
  crc32: Crc32,
): Generator<TailEvent> {
  let stamp = stamps[0] ?? 0;
  for (const [index, { stampDelta, body }] of events.entries()) {
    const number = firstPseq + index;
    stamp += stampDelta;
    const time = new Date(wallMs - (clock - stamp) / 1_000);
    const event = context && readBody(context, body, stamp, crc32);
    const state = () => context?.state.toJson() ?? {};
    yield {
      number,
      time,
      type: event?.type,
      data: event?.data ?? {},
      get state() {
        return state();
      },
    };
  }
}

/** Undefined for a change alone, and for what cannot be read because something before it is damaged. */
function readBody(context: ProducerContext, body: Uint8Array, stamp: number, crc32: Crc32) {
  try {
    return context.read(body, stamp, 'DAMAGED', crc32).event;
  } catch (error) {
    if (isGametapeError(error)) return undefined;
    throw error;
  }
}

function contextAt({ head, helloState, keyframe }: SpoolStart, crc32: Crc32): ProducerContext {
  const { player, instance } = head;
  const identity = { index: 0, player, instance };
  const profile = profileNamed(head.profile);
  if (keyframe.length > 0) return readKeyframe(new ByteReader(keyframe, 'DAMAGED'), profile, () => identity);
  const context = new ProducerContext(profile, identity);
  if (helloState.length > 0) context.read(helloState, 0, 'DAMAGED', crc32);
  return context;
}
