import { GametapeError } from '../errors.ts';
import { isForbiddenKey } from '../values/json.ts';
import type { Checkpoint, GameState, Recording } from './schema.ts';

/** The seed's CheckpointManager (L1): named points of a recording in memory, listed in its `checkpoints` as well. */
export class CheckpointManager {
  readonly #recording: Pick<Recording, 'events' | 'checkpoints'>;
  readonly #checkpoints = new Map<string, Checkpoint>();

  constructor(recording: Pick<Recording, 'events' | 'checkpoints'>) {
    this.#recording = recording;
  }

  /** @throws GametapeError `NAME_TAKEN`, `NOT_FOUND` when there is no such event, `BAD_VALUE` for names like `__proto__`. */
  create(name: string, eventIndex: number): Checkpoint {
    if (this.#checkpoints.has(name)) throw new GametapeError('NAME_TAKEN', `checkpoint ${quoted(name)} already exists`);
    if (isForbiddenKey(name)) throw new GametapeError('BAD_VALUE', `checkpoint ${quoted(name)}: a name not allowed`);
    const event = this.#recording.events[eventIndex];
    if (!event) {
      const found = `expected an index into ${this.#recording.events.length} events, found ${eventIndex}`;
      throw new GametapeError('NOT_FOUND', `checkpoint ${quoted(name)}: ${found}`);
    }
    const { timestamp, game_state: state } = event;
    const checkpoint = { name, event_index: eventIndex, timestamp, state };
    this.#checkpoints.set(name, checkpoint);
    this.#recording.checkpoints[name] = eventIndex;
    return checkpoint;
  }

  get(name: string): Checkpoint | undefined {
    return this.#checkpoints.get(name);
  }

  /** The state at a checkpoint. @throws GametapeError `NOT_FOUND` */
  restore(name: string): GameState {
    const checkpoint = this.#checkpoints.get(name);
    if (!checkpoint) throw new GametapeError('NOT_FOUND', `checkpoint ${quoted(name)} not found`);
    return checkpoint.state;
  }
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
