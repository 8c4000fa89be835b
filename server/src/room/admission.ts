import { type Body, type Compression, GametapeError, ProducerContext, type Profile } from '@gametape/shared';
import { checkBody } from './event-check.ts';
import type { RoomLimits } from './room-limits.ts';
import type { Seat } from './seat.ts';

/** What players may bring into a room: read strictly, checked against the profile and the limits. What is refused changes nothing. */
export class Admission {
  readonly #profile: Profile;
  readonly #limits: RoomLimits;
  readonly #compression: Compression;

  constructor(profile: Profile, limits: RoomLimits, compression: Compression) {
    this.#profile = profile;
    this.#limits = limits;
    this.#compression = compression;
  }

  /** @throws GametapeError when a hello's state may not be recorded */
  checkState(state: Uint8Array): void {
    // Read once on the side: the seat is only made when the state is good.
    const trial = new ProducerContext(this.#profile, { index: 0, player: '', instance: '' });
    trial.read(state, 0, 'BAD_MESSAGE', this.#compression.crc32, (body) => {
      if (body.event || body.change?.form !== 'keyframe') {
        throw new GametapeError('BAD_MESSAGE', 'hello: expected a keyframe as the state, found something else');
      }
      checkBody(body, trial.state, this.#profile);
    });
    this.#limits.checkNew(trial.state.bytes);
  }

  /**
   * Reads the body of a producer's next event and applies its change.
   *
   * @param stamp of the event, in microseconds of the producer's clock
   * @param isStale the body is what is left of an event that a rewind has overtaken (T8)
   * @throws GametapeError `BAD_DELTA` for a change that needs a keyframe first (D3), and what else an event can be wrong about
   */
  read({ context, needsKeyframe }: Seat, body: Uint8Array, stamp: number, isStale: boolean): Body {
    const stateBytes = context.state.bytes;
    return context.read(body, stamp, 'BAD_MESSAGE', this.#compression.crc32, (read) => {
      if (needsKeyframe && read.change?.form === 'delta' && !isStale) {
        throw new GametapeError('BAD_DELTA', 'expected a keyframe after the gap, found a delta');
      }
      checkBody(read, context.state, this.#profile);
      this.#limits.checkGrown(context.state.bytes - stateBytes);
    });
  }
}
