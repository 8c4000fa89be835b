/** Values that are kept for a while after they were set last, and no more than so many of them. */
export class Kept<Value> {
  readonly #limit: number;
  readonly #keptMs: number;
  /** Those that were set last come last. */
  readonly #values = new Map<string, { readonly value: Value; readonly until: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limit: number, keptMs: number) {
    this.#limit = limit;
    this.#keptMs = keptMs;
  }

  get(name: string): Value | undefined {
    return this.#values.get(name)?.value;
  }

  set(name: string, value: Value): void {
    this.#values.delete(name);
    this.#values.set(name, { value, until: performance.now() + this.#keptMs });
    if (this.#values.size > this.#limit) this.#values.delete(this.#values.keys().next().value as string);
    this.#timer ??= this.#later(this.#keptMs);
  }

  delete(name: string): void {
    this.#values.delete(name);
  }

  /** Forgets all that are so. */
  drop(isSo: (value: Value) => boolean): void {
    for (const [name, { value }] of this.#values) if (isSo(value)) this.#values.delete(name);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#values.clear();
  }

  #later(waitMs: number): NodeJS.Timeout {
    // It keeps nobody from leaving.
    return setTimeout(() => this.#forget(), waitMs).unref();
  }

  #forget(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [name, { until }] of this.#values) {
      if (until > now) {
        this.#timer = this.#later(Math.ceil(until - now));
        return;
      }
      this.#values.delete(name);
    }
  }
}
