import { type ConnectionStatus, type Live, type LiveEvent, spectate } from '@gametape/client-sdk';
import { isGametapeError } from '@gametape/shared';
import { batch, signal } from '@preact/signals';
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
}

/** A live room as signals. What arrives between two animation frames is painted once. */
export class LiveFeed {
  readonly room: string;
  readonly board = new PlayerBoard();
  readonly status = signal<ConnectionStatus>('connecting');
  /** Play time, in seconds. */
  readonly time = signal(0);
  /** Newest first. */
  readonly log = signal<readonly LogRow[]>([]);
  readonly error = signal<unknown>(undefined);
  /** Id of the recording that the room left. */
  readonly recordingId = signal<string | undefined>(undefined);
  /** What rooms of this name left before, while there is none. */
  readonly earlier = signal<readonly RecordingRow[]>([]);
  readonly #changed = new Set<string>();
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
    this.#live?.close();
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#frame);
  }

  #attach(live: Live): void {
    this.#live = live;
    batch(() => {
      this.error.value = undefined;
      this.status.value = live.status;
      this.#touchAll(live);
      this.#paint();
    });
    live.on('change', ({ player }) => this.#touch(player));
    live.on('event', (event) => {
      this.#arrived.push(logRow(event));
      this.#touch(event.player);
    });
    live.on('status', () => this.#showStatus(live));
    live.on('error', (error) => {
      this.error.value = error;
    });
    live.on('end', ({ recordingId }) => {
      this.recordingId.value = recordingId;
      this.#showStatus(live);
    });
    this.#tick();
  }

  #showStatus(live: Live): void {
    this.status.value = live.status;
    if (live.status === 'live') {
      this.error.value = undefined;
      this.#touchAll(live);
    }
    if (live.status === 'closed' && !this.#isStopped) this.#rejoin();
  }

  /** The connection is given up, the page is still open: the room may be back, or have left a recording. */
  #rejoin(): void {
    this.#live = undefined;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.start(), RETRY_MS);
  }

  #touch(player: string): void {
    this.#changed.add(player);
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => batch(() => this.#paint()));
  }

  #touchAll(live: Live): void {
    for (const id of [...live.players.keys(), ...live.states.keys()]) this.#touch(id);
  }

  #paint(): void {
    this.#frame = 0;
    const live = this.#live;
    if (!live || this.#isStopped) return;
    const { states } = live;
    for (const id of this.#changed) this.board.player(id).state.value = states.get(id);
    this.#changed.clear();
    if (this.#arrived.length > 0) {
      this.log.value = [...this.#arrived.slice(-LOG_ROWS).reverse(), ...this.log.peek()].slice(0, LOG_ROWS);
      this.#arrived = [];
    }
    this.#showPresence(live);
  }

  #showPresence(live: Live): void {
    for (const { id, name, connected } of live.players.values()) {
      const player = this.board.player(id);
      player.name.value = name ?? id;
      player.presence.value = connected ? 'connected' : 'dropped';
    }
  }

  /** The clock, and connections that come and go without an event. Nothing paints while the page is hidden. */
  #tick(): void {
    const live = this.#live;
    if (!live || this.#isStopped) return;
    // A page in the background gets no frames: its log must not grow meanwhile.
    if (this.#arrived.length > LOG_ROWS) this.#arrived = this.#arrived.slice(-LOG_ROWS);
    batch(() => {
      this.time.value = Math.floor(live.currentTime);
      this.#showPresence(live);
    });
    if (this.status.peek() !== 'ended') this.#timer = setTimeout(() => this.#tick(), CLOCK_MS);
  }

  async #findEarlier(): Promise<void> {
    const recordings = await fetchRecordings().catch(() => []);
    this.earlier.value = recordings.filter(({ room }) => room === this.room);
  }
}

function logRow({ epoch, seq, time, player, type, data }: LiveEvent): LogRow {
  return { key: `${epoch}-${seq}`, time, player, type, detail: describeData(data) };
}
