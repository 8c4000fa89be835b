/** What the command line asks of the benches; each takes what concerns it. */
export interface BenchOptions {
  /** Editing traces to use in place of the usual three. */
  readonly traces: readonly string[];
  /** Only so many edits of each trace, on every side of a comparison. */
  readonly limit: number | undefined;
  readonly rooms: number;
  readonly seconds: number;
  readonly rounds: number;
  /** Directory for CPU profiles of the relay. */
  readonly profile: string | undefined;
}

/** One figure of the design, measured with real parts. It prints; it never fails because of a time. */
export interface Bench {
  readonly name: string;
  readonly about: string;
  run(options: BenchOptions): Promise<void>;
}
