import { GametapeError } from '../errors.ts';
import { type Profile, profileNamed } from '../profile/profile.ts';
import {
  type ProducerRecord,
  type RawRecord,
  type RecordingMeta,
  RecordType,
  readMeta,
  readProducer,
} from './records.ts';

/** What the blocks of one recording have said of it so far; a block may rely on the ones before it. */
export class RecordingIdentity {
  readonly producers = new Map<number, ProducerRecord>();
  #meta: RecordingMeta | undefined;
  #profile: Profile | undefined;

  get meta(): RecordingMeta {
    if (!this.#meta) throw new GametapeError('DAMAGED', 'no block says what recording this is');
    return this.#meta;
  }

  set meta(meta: RecordingMeta) {
    this.#meta = meta;
  }

  get isKnown(): boolean {
    return this.#meta !== undefined;
  }

  get profile(): Profile {
    this.#profile ??= profileNamed(this.meta.profile);
    return this.#profile;
  }

  /** Takes over what a record says about the recording; false if it says something else. */
  learn({ type, reader }: RawRecord): boolean {
    if (type === RecordType.Meta) this.#learnMeta(readMeta(reader), reader.fail.bind(reader));
    else if (type === RecordType.Producer) this.addProducer(readProducer(reader), reader.fail.bind(reader));
    else return false;
    reader.end();
    return true;
  }

  /** @param fail throws for a producer that is known as another */
  addProducer(producer: ProducerRecord, fail: (what: string) => never): void {
    const known = this.producers.get(producer.index);
    if (known && (known.player !== producer.player || known.instance !== producer.instance)) {
      fail(`declares producer ${producer.index} a second time, as another`);
    }
    this.producers.set(producer.index, producer);
  }

  /** Only the first block and the index say all; the others repeat what it takes to read them alone. */
  #learnMeta(meta: RecordingMeta, fail: (what: string) => never): void {
    if (this.#meta && this.#meta.recordingId !== meta.recordingId) fail('is of another recording');
    if (this.#meta && this.#meta.profile !== meta.profile) fail('is of another profile');
    this.#meta ??= meta;
  }
}
