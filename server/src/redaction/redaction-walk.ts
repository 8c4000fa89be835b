import type { Body, Crc32, ProducerContext, TimelineEntry, UnknownRecord } from '@gametape/shared';
import type { RecordingTimeline, TimelineRun } from '../recording/recording-timeline.ts';
import type { TextMatcher } from './text-matcher.ts';
import { EventTrail, type Piece, StateTrail, type TextMarks } from './text-trail.ts';

export interface WalkedEntry {
  readonly entry: TimelineEntry;
  readonly body: Body;
  /** After the entry. */
  readonly context: ProducerContext;
  /** What it has put into the texts of the state. */
  readonly inserted: readonly Piece[];
}

/** What happens while a recording is walked through. Trails number their texts in the order of these calls. */
export interface RedactionVisitor {
  leap?(contexts: readonly ProducerContext[], clock: TimelineRun['clock']): Promise<void>;
  entry(walked: WalkedEntry): Promise<void> | void;
  unknown?(records: readonly UnknownRecord[]): void;
}

/** Replays a recording with a trail for every producer's texts and every player's events. */
export class RedactionWalk {
  readonly #timeline: RecordingTimeline;
  readonly #marks: TextMarks;
  readonly #matcher: TextMatcher | undefined;
  readonly #contexts = new Map<number, ProducerContext>();
  readonly #states = new Map<number, StateTrail>();
  readonly #events = new Map<string, EventTrail>();
  readonly #crc32: Crc32;

  /** @param matcher finds what is to be marked; without it the walk only follows */
  constructor(
    timeline: RecordingTimeline,
    options: { marks: TextMarks; matcher: TextMatcher | undefined; crc32: Crc32 },
  ) {
    this.#timeline = timeline;
    this.#marks = options.marks;
    this.#matcher = options.matcher;
    this.#crc32 = options.crc32;
    this.#marks.rewind();
  }

  state(producer: number): StateTrail {
    const trail = this.#states.get(producer) ?? new StateTrail(this.#marks, this.#matcher);
    this.#states.set(producer, trail);
    return trail;
  }

  events(player: string): EventTrail {
    const trail = this.#events.get(player) ?? new EventTrail(this.#marks, this.#matcher);
    this.#events.set(player, trail);
    return trail;
  }

  async run(visitor: RedactionVisitor): Promise<void> {
    for await (const { leaps, clock, entries, unknown } of this.#timeline.runs()) {
      for (const leap of leaps) {
        this.#contexts.set(leap.index, leap);
        this.state(leap.index).load(leap.state.toJson());
      }
      if (leaps.length > 0) await visitor.leap?.(leaps, clock);
      for (const entry of entries) {
        const context = this.#contexts.get(entry.producer) ?? this.#timeline.newContext(entry.producer);
        this.#contexts.set(entry.producer, context);
        const body = context.advance(entry, 'DAMAGED', this.#crc32);
        const inserted = body.change ? this.state(entry.producer).apply(body.change) : [];
        await visitor.entry({ entry, body, context, inserted });
      }
      visitor.unknown?.(unknown);
    }
  }
}
