import { type ConnectionStatus, EventType, type Live, type LiveEvent, spectate } from '@gametape/client-sdk';
import { isGametapeError } from '@gametape/shared';
import { batch, signal } from '@preact/signals';
import { Playback } from './playback.ts';
import { PlayerBoard } from './player-board.ts';
import { fetchRecordings, type RecordingRow, relayUrl } from './rooms-api.ts';
import { describeData } from './words.ts';

/** How many events the log keeps. */
const LOG_ROWS = 100;
/** How long until a room that was not there is looked for again. */
const RETRY_MS = 2_000;
const CLOCK_MS = 250;

interface LogRow {
  readonly key: string;
  readonly time: number;
  readonly player: string;
  readonly type: string;
  readonly detail: string;
  /** It came after its time had been shown (T6). */
  readonly late: boolean;
}

/** A live room as signals. What arrives between two animation frames is painted once. */
export class LiveFeed {
  readonly room: string;
  readonly board = new PlayerBoard({ knowsPresence: true });
  /** The room's playhead, while it is connected to one or plays what it left. */
  readonly playback = signal<Playback | undefined>(undefined);
  readonly status = signal<ConnectionStatus>('connecting');
  /** How much later than players this page is shown what happens, in seconds. */
  readonly delay = signal(0);
  /** Newest first. */
  readonly log = signal<readonly LogRow[]>([]);
  readonly error = signal<unknown>(undefined);
  /** Id of the recording that the room left. */
  readonly recordingId = signal<string | undefined>(undefined);
  /** What rooms of this name left before, while there is none. */
  readonly earlier = signal<readonly RecordingRow[]>([]);
  #arrived: LogRow[] = [];
  #live: Live | undefined;
  #frame = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  constructor(room: string) {
    this.room = room;
  }

  /** Joins the room, and goes on trying while there is none of this name. */
  async start(): Promise<void> {
    try {
      const live = await spectate({ url: relayUrl(), room: this.room });
      if (this.#isStopped) live.close();
      else this.#attach(live);
    } catch (error) {
      if (this.#isStopped) return;
      this.error.value = error;
      if (isGametapeError(error, 'NOT_FOUND') || isGametapeError(error, 'ROOM_ENDED')) await this.#findEarlier();
      if (!this.#isStopped) this.#timer = setTimeout(() => this.start(), RETRY_MS);
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.playback.peek()?.close();
    this.#live?.close();
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#frame);
  }

  #attach(live: Live): void {
    this.#live?.close();
    this.playback.peek()?.close();
    this.#live = live;
    const playback = new Playback(live, this.board);
    batch(() => {
      this.error.value = undefined;
      this.status.value = live.status;
      this.delay.value = live.delay;
      this.recordingId.value = undefined;
      playback.isLiveRoom.value = true;
      this.playback.value = playback;
      this.#paint();
    });
    live.on('event', (event) => {
      this.#arrived.push(logRow(event));
      if (event.type === EventType.CHECKPOINT) void this.#readCheckpoints(live, playback);
      this.#paintSoon();
    });
    // Going elsewhere in time, the log starts over there.
    live.on('seeked', () => {
      this.#arrived = [];
      this.log.value = [];
    });
    live.on('status', () => this.#showStatus(live));
    live.on('error', (error) => {
      this.error.value = error;
    });
    live.on('end', ({ recordingId }) => {
      this.recordingId.value = recordingId;
      playback.isLiveRoom.value = false;
      this.#showStatus(live);
    });
    void this.#readCheckpoints(live, playback);
    this.#tick();
  }

  /** Without them the bar has no marks, and all else works. */
  async #readCheckpoints(live: Live, playback: Playback): Promise<void> {
    playback.checkpoints.value = await live.checkpoints().catch(() => playback.checkpoints.peek());
  }

  #showStatus(live: Live): void {
    this.status.value = live.status;
    if (live.status === 'live') this.error.value = undefined;
    if (live.status === 'closed' && !this.#isStopped) this.#rejoin();
  }

  /** The connection is given up, the page is still open: the room may be back, or have left a recording. */
  #rejoin(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.start(), RETRY_MS);
  }

  #paintSoon(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => batch(() => this.#paint()));
  }

  #paint(): void {
    this.#frame = 0;
    const live = this.#live;
    if (!live || this.#isStopped) return;
    if (this.#arrived.length > 0) {
      this.log.value = [...this.#arrived.slice(-LOG_ROWS).reverse(), ...this.log.peek()].slice(0, LOG_ROWS);
      this.#arrived = [];
    }
    this.#showPresence(live);
  }

  #showPresence(live: Live): void {
    for (const { id, name, connected, clockErrorS } of live.players.values()) {
      const player = this.board.player(id);
      player.name.value = name ?? id;
      player.presence.value = connected ? 'connected' : 'dropped';
      player.clockErrorS.value = clockErrorS;
    }
    // What the relay has lost of the room may be all that there was of a player.
    for (const { id, presence } of this.board.players.peek()) if (!live.players.has(id)) presence.value = 'dropped';
  }

  /** The clock, and connections that come and go without an event. Nothing paints while the page is hidden. */
  #tick(): void {
    const live = this.#live;
    if (!live || this.#isStopped) return;
    // A page in the background gets no frames: its log must not grow meanwhile.
    if (this.#arrived.length > LOG_ROWS) this.#arrived = this.#arrived.slice(-LOG_ROWS);
    batch(() => this.#showPresence(live));
    if (this.status.peek() !== 'ended') this.#timer = setTimeout(() => this.#tick(), CLOCK_MS);
  }

  async #findEarlier(): Promise<void> {
    const recordings = await fetchRecordings().catch(() => []);
    this.earlier.value = recordings.filter(({ room }) => room === this.room);
  }
}

function logRow({ epoch, seq, time, player, type, data, late }: LiveEvent): LogRow {
  return { key: `${epoch}-${seq}`, time, player, type, detail: describeData(data), late };
}
