import {
  EventType,
  GametapeError,
  type JsonObject,
  makeRecordingId,
  ProducerContext,
  type ProducerRecord,
  type Profile,
  type ProfileName,
  profileNamed,
  type State,
  type TimelineEntry,
  TimestampManager,
} from '@gametape/shared';
import type { RecordedEvent, Recording } from '@gametape/shared/lmsp';
import type { EventInput } from './api.ts';
import type { Platform } from './platform/platform.ts';
import { Producer, stampOf, toSeconds } from './producer.ts';

const MICROSECONDS = 1_000_000;
const LMSP_VERSION = '1.0.0';
const INSTANCE = 'recorder';

export interface RecorderOptions {
  /** Whose events these are when an event does not say. @default the player of the event before */
  readonly player?: string;
  /** @default 'lmsp' */
  readonly profile?: ProfileName;
  /** Name of the room in the recording. @default 'offline' */
  readonly room?: string;
}

/** An event for a recorder: with `player_id` as the seed document has it, or without. */
export interface RecorderInput extends EventInput {
  readonly player_id?: string;
}

/** How a session went, for the top level of the recording. */
export interface RecorderOutcome {
  readonly success?: boolean;
  readonly final_code?: string;
  readonly final_time?: number;
}

interface Player {
  readonly producer: Producer;
  readonly index: number;
  readonly name: string;
  events: number;
}

/** Records without a relay, as the seed document's usage example does (L1). Keeps deltas, not states. */
export class OfflineRecorder {
  readonly #platform: Platform;
  readonly #options: RecorderOptions;
  readonly #profile: Profile;
  readonly #clock: TimestampManager;
  readonly #players = new Map<string, Player>();
  readonly #entries: TimelineEntry[] = [];
  readonly #checkpoints = new Map<string, number>();
  #startedAt: Date | undefined;
  #lastPlayer: string | undefined;
  #outcome: RecorderOutcome = {};

  constructor(platform: Platform, options: RecorderOptions = {}) {
    this.#platform = platform;
    this.#options = options;
    this.#profile = profileNamed(options.profile ?? 'lmsp');
    this.#clock = new TimestampManager(() => toSeconds(platform.now()));
  }

  /** Timestamps count from now. */
  start(): void {
    if (this.#startedAt) throw new TypeError('recorder: started already');
    this.#startedAt = new Date();
    this.#clock.start();
  }

  /** Time stands still: what is recorded before `resume` has this moment's timestamp. */
  pause(): void {
    this.#clock.pause();
  }

  resume(): void {
    this.#clock.resume();
  }

  /**
   * Records an event with the player's state after it, if that changed.
   * @throws GametapeError `BAD_EVENT`, `BAD_VALUE`, `LIMIT_EXCEEDED`; TypeError before `start`
   */
  record(event: RecorderInput, nextState?: State): void {
    const { player, stamp } = this.#now(event.player_id);
    const checked = player.producer.checkEvent(event);
    if (nextState !== undefined) player.producer.setState(nextState);
    const body = player.producer.encode(checked, stamp);
    const pseq = ++player.events;
    this.#entries.push({
      seq: this.#entries.length + 1,
      producer: player.index,
      pseq,
      time: stamp,
      hlc: 0,
      stamp,
      body,
    });
  }

  /** The player's state is now `next`; it goes with the next event. */
  setState(next: State, player?: string): void {
    this.#now(player).player.producer.setState(next);
  }

  /** Names this point with a CHECKPOINT event. @throws GametapeError `NAME_TAKEN` */
  checkpoint(name: string, player?: string): void {
    if (this.#checkpoints.has(name)) {
      throw new GametapeError('NAME_TAKEN', `checkpoint ${JSON.stringify(name)}: there is one of that name already`);
    }
    this.record({ type: EventType.CHECKPOINT, data: { name }, ...(player !== undefined && { player_id: player }) });
    this.#checkpoints.set(name, this.#entries.length - 1);
  }

  /** Says how it went. Without it, the last CHALLENGE_COMPLETE does (L2). */
  finish(outcome: RecorderOutcome): void {
    this.#outcome = outcome;
  }

  /** All events with the state at each, under the seed's field names (L1). */
  export(): Recording {
    const contexts = this.#contexts();
    const events: RecordedEvent[] = [];
    for (const entry of this.#entries) {
      const context = contexts.get(entry.producer) as ProducerContext;
      const { event } = context.advance(entry, 'BAD_RECORDING', this.#platform.crc32);
      if (!event) continue;
      const game_event = { type: event.type, player_id: context.player, data: event.data };
      const game_state = context.state.toJson();
      events.push({ timestamp: toSeconds(entry.time), event: game_event, game_state } as unknown as RecordedEvent);
    }
    const completed = events.findLast(({ event }) => event.type === EventType.CHALLENGE_COMPLETE);
    const started = events.find(({ event }) => event.type === EventType.CHALLENGE_START);
    const challenge = started?.event.data.challenge_id ?? events[0]?.game_state.challenge_id;
    return {
      version: LMSP_VERSION,
      player_id: events[0]?.event.player_id ?? '',
      challenge_id: typeof challenge === 'string' ? challenge : '',
      created_at: (this.#startedAt?.getTime() ?? 0) / 1_000,
      events,
      checkpoints: Object.fromEntries(this.#checkpoints),
      duration: toSeconds(this.#duration()),
      success: this.#outcome.success ?? (completed ? completed.event.data.success !== false : false),
      final_code: this.#outcome.final_code ?? completed?.game_state.current_code ?? '',
      final_time: this.#outcome.final_time ?? completed?.timestamp ?? 0,
    };
  }

  /** The same as a compact `.lmsp` file. */
  async toBytes(): Promise<Uint8Array> {
    const hasOutcome = Object.keys(this.#outcome).length > 0;
    // Taken now: what is recorded while the writer loads is not part of it.
    const recorded = {
      meta: {
        recordingId: makeRecordingId(Date.now(), this.#platform.randomBytes(10)),
        room: this.#options.room ?? 'offline',
        profile: this.#profile.name,
        createdAt: (this.#startedAt?.getTime() ?? 0) / 1_000,
      },
      producers: this.#identities(),
      entries: [...this.#entries],
      checkpoints: new Map([...this.#checkpoints].map(([name, index]) => [index, name])),
      end: { endedAt: this.#duration(), ...(hasOutcome && { outcome: this.#outcome as JsonObject }) },
    };
    const { writeRecorded } = await import('./recorded-file.ts');
    return await writeRecorded(recorded, await this.#platform.compression());
  }

  #now(playerId: string | undefined): { player: Player; stamp: number } {
    if (!this.#startedAt) throw new TypeError('recorder: call start() first');
    const name = playerId ?? this.#options.player ?? this.#lastPlayer;
    if (name === undefined)
      throw new TypeError('recorder: name the player, in the event (player_id) or in the options');
    this.#lastPlayer = name;
    return { player: this.#players.get(name) ?? this.#addPlayer(name), stamp: this.#stamp() };
  }

  #addPlayer(name: string): Player {
    const producer = new Producer(this.#profile, this.#platform.crc32);
    const initial = this.#profile.initialState?.(name);
    if (initial) producer.begin(initial);
    const player = { producer, index: this.#players.size, name, events: 0 };
    this.#players.set(name, player);
    return player;
  }

  /** Microseconds of play time: pauses are not in it. */
  #stamp(): number {
    return Math.max(this.#entries.at(-1)?.time ?? 0, stampOf(this.#clock.currentTimestamp() * MICROSECONDS));
  }

  #duration(): number {
    return this.#startedAt ? this.#stamp() : 0;
  }

  #contexts(): Map<number, ProducerContext> {
    return new Map(
      this.#identities().map((identity) => [identity.index, new ProducerContext(this.#profile, identity)]),
    );
  }

  #identities(): ProducerRecord[] {
    return [...this.#players.values()].map(({ index, name }) => ({ index, player: name, instance: INSTANCE }));
  }
}
