import {
  BodyEncoder,
  BytesSink,
  crc32,
  type GameEvent,
  type JsonObject,
  type Profile,
  RecordingWriter,
  type State,
  type TextChange,
} from '@gametape/shared';
import { newId } from './edited-recording.ts';

/** Writes a recording step by step, as SDKs and a relay would. */
export class WrittenSession {
  readonly #sink = new BytesSink();
  readonly #writer: RecordingWriter;
  readonly #players: { readonly name: string; readonly bodies: BodyEncoder; pseq: number }[];
  #seq = 0;
  /** From one event to the next, in microseconds. */
  stepUs = 1_000;

  constructor(profile: Profile, players: Readonly<Record<string, State>>, meta: JsonObject = {}) {
    const base = { recordingId: newId(1), room: 'room', profile: profile.name, createdAt: 1_700_000_000 };
    this.#writer = new RecordingWriter(this.#sink, { ...base, ...meta });
    this.#players = Object.entries(players).map(([name, state], index) => {
      this.#writer.addProducer({ index, player: name, instance: `of-${name}` });
      const bodies = new BodyEncoder(profile, crc32);
      bodies.replaceState(state, 0);
      return { name, bodies, pseq: 0 };
    });
  }

  /** An event of a player, with an edit of a text of its state, or with a whole new state. */
  async add(
    name: string,
    event: GameEvent,
    change?: { readonly key: string; readonly edit: TextChange } | { readonly state: State },
  ): Promise<void> {
    const index = this.#players.findIndex((player) => player.name === name);
    const player = this.#players[index];
    if (!player) throw new TypeError(`no player ${name}`);
    const stamp = this.#seq * this.stepUs;
    if (change && 'state' in change) player.bodies.replaceState(change.state, stamp);
    else if (change) player.bodies.change([{ op: 'splice', key: change.key, ...change.edit }], stamp);
    const body = player.bodies.encode(event, stamp);
    const place = { seq: ++this.#seq, producer: index, pseq: ++player.pseq, time: stamp, hlc: 0, stamp };
    await this.#writer.add({ ...place, body });
    if (event.type === 'checkpoint') this.#writer.addCheckpoint(String(event.data.name), place);
  }

  async finish(outcome?: JsonObject): Promise<Uint8Array> {
    await this.#writer.finish(outcome ? { outcome } : {});
    return this.#sink.bytes();
  }
}
