import type { SpoolOptions } from '../api.ts';
import type { Spool, SpoolName, SpoolSegment, SpoolStore } from '../spool/spool.ts';

const DATABASE = 'gametape-spool';
const VERSION = 1;
/** `SpoolName` by instance. */
const NAMES = 'names';
/** Bytes by `[instance, segment, number]`: each append is a row. */
const PARTS = 'parts';

/**
 * Opens the spools of a browser profile. Who lives is told by Web Locks, which end with their tab; both are there in secure contexts.
 * Rejects when the browser has no storage for this page: some have none in private windows.
 */
export async function openIndexedDbSpools({ database = DATABASE }: SpoolOptions): Promise<SpoolStore> {
  if (typeof indexedDB === 'undefined') throw new Error('this page has no IndexedDB');
  if (!navigator.locks) throw new Error('this page has no Web Locks: it has to be served over https or from localhost');
  const opening = indexedDB.open(database, VERSION);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore(NAMES, { keyPath: 'instance' });
    opening.result.createObjectStore(PARTS);
  };
  const opened = await resultOf(opening);
  // A later version of the SDK, in another tab, is not kept waiting.
  opened.onversionchange = () => opened.close();
  return new IndexedDbSpoolStore(opened);
}

class IndexedDbSpoolStore implements SpoolStore {
  readonly #database: IDBDatabase;
  readonly #spools = new Set<IndexedDbSpool>();

  constructor(database: IDBDatabase) {
    this.#database = database;
  }

  async create(name: SpoolName): Promise<Spool> {
    const spool = await this.#hold(name);
    if (!spool) throw new Error(`instance ${name.instance} has a spool already`);
    await spool.begin();
    return spool;
  }

  async takeOver(isWanted: (name: SpoolName) => boolean): Promise<Spool[]> {
    const names = await this.#names();
    const wanted = names.filter(isWanted).sort((one, other) => one.createdMs - other.createdMs);
    const taken: Spool[] = [];
    for (const name of wanted) {
      const spool = await this.#hold(name);
      if (!spool) continue;
      // Whoever held it until now may have removed it.
      if ((await this.#names()).some(({ instance }) => instance === name.instance)) taken.push(spool);
      else spool.letGo();
    }
    return taken;
  }

  async close(): Promise<void> {
    for (const spool of this.#spools) {
      await spool.written();
      spool.letGo();
    }
    this.#database.close();
  }

  async #names(): Promise<SpoolName[]> {
    return await resultOf(this.#database.transaction(NAMES).objectStore(NAMES).getAll() as IDBRequest<SpoolName[]>);
  }

  /** Undefined when somebody who lives holds it. */
  async #hold(name: SpoolName): Promise<IndexedDbSpool | undefined> {
    const letGo = await lockIfFree(`${this.#database.name} ${name.instance}`);
    if (!letGo) return undefined;
    const spool = new IndexedDbSpool(this.#database, name, letGo);
    this.#spools.add(spool);
    return spool;
  }
}

class IndexedDbSpool implements Spool {
  readonly name: SpoolName;
  /** The tab may go before its transaction is through. */
  readonly isImmediate = false;
  onFailure: (cause: Error) => void = () => {};
  readonly letGo: () => void;
  readonly #database: IDBDatabase;
  /** What is written at the end of this turn. */
  #parts: { readonly segment: number; readonly bytes: Uint8Array }[] = [];
  #dropBefore = 0;
  #isScheduled = false;
  #rows = 0;
  #written: Promise<void> = Promise.resolve();
  #hasFailed = false;

  constructor(database: IDBDatabase, name: SpoolName, letGo: () => void) {
    this.#database = database;
    this.name = name;
    this.letGo = letGo;
    // Rows of one that was taken over come before those that are added.
    this.#rows = Date.now();
  }

  async begin(): Promise<void> {
    const transaction = this.#database.transaction(NAMES, 'readwrite');
    transaction.objectStore(NAMES).put(this.name);
    await completed(transaction);
  }

  append(segment: number, bytes: Uint8Array): void {
    this.#parts.push({ segment, bytes });
    this.#schedule();
  }

  dropBefore(segment: number): void {
    this.#dropBefore = segment;
    this.#schedule();
  }

  async written(): Promise<void> {
    this.#write();
    await this.#written;
  }

  async read(): Promise<SpoolSegment[]> {
    await this.written();
    const parts = this.#database.transaction(PARTS).objectStore(PARTS);
    const [keys, rows] = await Promise.all([
      resultOf(parts.getAllKeys(this.#range())) as Promise<[string, number, number][]>,
      resultOf(parts.getAll(this.#range()) as IDBRequest<Uint8Array[]>),
    ]);
    const bySegment = new Map<number, Uint8Array[]>();
    for (const [index, [, segment]] of keys.entries()) {
      const known = bySegment.get(segment) ?? [];
      bySegment.set(segment, known);
      known.push(rows[index] as Uint8Array);
    }
    return [...bySegment].map(([number, bytes]) => ({ number, bytes: joined(bytes) }));
  }

  async remove(): Promise<void> {
    await this.written();
    const transaction = this.#database.transaction([NAMES, PARTS], 'readwrite');
    transaction.objectStore(NAMES).delete(this.name.instance);
    transaction.objectStore(PARTS).delete(this.#range());
    await completed(transaction);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => this.#write());
  }

  #write(): void {
    if (!this.#isScheduled) return;
    this.#isScheduled = false;
    const parts = this.#parts.splice(0);
    if (this.#hasFailed) return;
    try {
      const transaction = this.#database.transaction(PARTS, 'readwrite', { durability: 'relaxed' });
      const store = transaction.objectStore(PARTS);
      for (const { segment, bytes } of parts) store.put(bytes, [this.name.instance, segment, this.#rows++]);
      if (this.#dropBefore > 0) store.delete(this.#range(this.#dropBefore));
      this.#dropBefore = 0;
      // Its end need not wait for what comes back: the tab may be gone by then.
      transaction.commit();
      this.#written = completed(transaction).catch((error: Error) => this.#fail(error));
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.onFailure(error);
  }

  /** Rows of this spool, of segments before that one. An array sorts after every number. */
  #range(before: number | [] = []): IDBKeyRange {
    const { instance } = this.name;
    return IDBKeyRange.bound([instance], [instance, before], false, true);
  }
}

/** Resolves with what lets it go, or with undefined when another holds it. */
function lockIfFree(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const held = navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (!lock) {
        resolve(undefined);
        return undefined;
      }
      return new Promise<void>((letGo) => resolve(letGo));
    });
    held.catch(reject);
  });
}

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error('the browser has aborted the transaction'));
  });
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
