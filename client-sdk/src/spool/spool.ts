/** Whose spool it is. Ids are those of the protocol (S1). */
export interface SpoolName {
  readonly room: string;
  readonly player: string;
  /** The SDK instance that writes it, or wrote it. */
  readonly instance: string;
  /** When it was begun, in milliseconds of the wall clock. */
  readonly createdMs: number;
}

/**
 * What one SDK instance keeps outside of its process: segments of bytes, numbered upwards, that only grow and are forgotten whole.
 * A spool is held by one that lives, or by nobody.
 */
export interface Spool {
  readonly name: SpoolName;
  /** What `append` was given survives the process as soon as `append` returns. */
  readonly isImmediate: boolean;
  /** Called once, when something could not be written: what is appended after that is not kept. */
  onFailure: (cause: Error) => void;
  /** Adds to the end of a segment, which may be new. Never waits, never throws. The bytes must not change afterwards. */
  append(segment: number, bytes: Uint8Array): void;
  /** Forgets every segment before that one. */
  dropBefore(segment: number): void;
  /** Resolves when everything appended so far would survive the process, or has failed. */
  written(): Promise<void>;
  /** All segments, in order. */
  read(): Promise<readonly SpoolSegment[]>;
  /** Deletes it. */
  remove(): Promise<void>;
}

export interface SpoolSegment {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** Where the spools of one machine or browser profile are. Each opened store is one that lives, until it is closed or its process dies. */
export interface SpoolStore {
  /** Begins a spool, held by this store. */
  create(name: SpoolName): Promise<Spool>;
  /**
   * The spools that nobody who lives holds, oldest first, of those wanted. They are held by this store from then on: of two that
   * ask at once only one gets a spool.
   */
  takeOver(isWanted: (name: SpoolName) => boolean): Promise<Spool[]>;
  /** Lets go of all spools that it holds and that are not removed: they are there for whoever comes next. */
  close(): Promise<void>;
}
