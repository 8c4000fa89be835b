import { type CheckpointPlace, GametapeError, LIMITS } from '@gametape/shared';

const MAX_NAME = 256;

/** The checkpoints of a room, by name. */
export class RoomCheckpoints {
  readonly #room: string;
  readonly #places: Map<string, CheckpointPlace>;
  /** Size of the names of all. */
  #units: number;

  constructor(room: string, places: ReadonlyMap<string, CheckpointPlace>) {
    this.#room = room;
    this.#places = new Map(places);
    this.#units = [...places.keys()].reduce((sum, { length }) => sum + length, 0);
  }

  get names(): string[] {
    return [...this.#places.keys()];
  }

  get places(): CheckpointPlace[] {
    return [...this.#places.values()];
  }

  /** @throws GametapeError `NOT_FOUND` */
  get(name: string): CheckpointPlace {
    const place = this.#places.get(name);
    if (place) return place;
    const shown = JSON.stringify(name.slice(0, MAX_NAME));
    throw new GametapeError('NOT_FOUND', `room ${this.#room}: there is no checkpoint ${shown}`);
  }

  /** The name. @throws GametapeError `BAD_EVENT`, `NAME_TAKEN`, `LIMIT_EXCEEDED` for one that cannot be given */
  check(name: unknown): string {
    if (typeof name !== 'string' || name === '' || name.length > MAX_NAME) {
      throw new GametapeError('BAD_EVENT', `checkpoint: expected a name of 1 to ${MAX_NAME} characters`);
    }
    const shown = `checkpoint ${JSON.stringify(name)}`;
    if (this.#places.has(name)) throw new GametapeError('NAME_TAKEN', `${shown}: the room has one of that name`);
    const { checkpoints, checkpointUnits } = LIMITS;
    if (this.#places.size >= checkpoints || this.#units + name.length > checkpointUnits) {
      throw new GametapeError('LIMIT_EXCEEDED', `${shown}: the room has ${this.#places.size}, no more are allowed`);
    }
    return name;
  }

  /** Takes over a name that was checked. */
  add(place: CheckpointPlace): void {
    this.#places.set(place.name, place);
    this.#units += place.name.length;
  }
}
