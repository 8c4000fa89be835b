import { NODE_COMPRESSION, verifyRecording } from '@gametape/server';
import { BytesSource, RecordingReader } from '@gametape/shared';
import type { SimulatedDisk } from '../support/simulated-disk.ts';
import { canonical, type InstanceLog } from './player.ts';
import { DATA_DIRECTORY } from './simulated-relay.ts';

/** What happened to the relay in a run: it decides what may be missing. */
export interface Findings {
  /** Nothing that keeps a player from being heard: whoever sees the end was asked for what was left (W6). */
  readonly isCalm: boolean;
  hasLostPower: boolean;
  hadDiskFaults: boolean;
}

export interface PlayerOutcome {
  readonly log: InstanceLog;
  /** Its session saw the end of the room. */
  readonly isEnded: boolean;
  /** Events that its SDK gave up. */
  readonly lost: number;
}

/** Compares what is recorded with what each player says it did (W2, W3, W6, J4). */
export async function checkRecordings(
  disk: SimulatedDisk,
  outcomes: readonly PlayerOutcome[],
  findings: Findings,
): Promise<{ violations: string[]; events: number }> {
  const violations: string[] = [];
  let events = 0;
  for (const { log } of outcomes) checkLog(log, findings, violations);
  const ids = new Set(outcomes.map(({ log }) => log.recordingId).filter((id) => id !== ''));
  for (const recordingId of ids) {
    const bytes = disk.peek(`${DATA_DIRECTORY}/recordings/${recordingId}.lmsp`);
    if (!bytes) {
      violations.push(`${recordingId}: there is no finished recording`);
      continue;
    }
    const its = outcomes.filter(({ log }) => log.recordingId === recordingId);
    const check = new RecordingCheck(its, findings);
    await check.run(bytes);
    violations.push(...check.violations.map((violation) => `${recordingId}: ${violation}`));
    events += check.entries;
  }
  return { violations, events };
}

/** What no session may ever tell its player. */
function checkLog({ name, errors, shown }: InstanceLog, { hasLostPower }: Findings, violations: string[]): void {
  const expected = /^(ROOM_ENDED|SESSION_CLOSED|UNREACHABLE|TIMED_OUT|SUPERSEDED|JOURNAL_FAILED|NAME_TAKEN)/;
  for (const error of errors) if (!expected.test(error)) violations.push(`${name}: ${error}`);
  if (hasLostPower) return;
  const seen = new Set<string>();
  for (const event of shown) {
    if (seen.has(event)) violations.push(`${name}: was shown ${event} twice`);
    seen.add(event);
  }
}

class RecordingCheck {
  readonly violations: string[] = [];
  entries = 0;
  readonly #outcomes: readonly PlayerOutcome[];
  readonly #findings: Findings;
  readonly #found = new Map<InstanceLog, Set<number>>();
  readonly #lastPseqs = new Map<InstanceLog, number>();
  readonly #finalStates = new Map<InstanceLog, string>();

  constructor(outcomes: readonly PlayerOutcome[], findings: Findings) {
    this.#outcomes = outcomes;
    this.#findings = findings;
  }

  async run(bytes: Uint8Array): Promise<void> {
    const report = await verifyRecording(new BytesSource(bytes));
    for (const problem of report.problems) this.#violate(`verify: ${JSON.stringify(problem)}`);
    const reader = await RecordingReader.open(new BytesSource(bytes), NODE_COMPRESSION);
    const instances = this.#matchProducers(reader);
    for await (const { entry, body, context } of reader.steps()) {
      if (entry.stamp === null) continue;
      this.entries++;
      const log = instances.get(entry.producer);
      if (log) this.#take(log, entry.pseq, body.event, canonical(context.state.toJson()));
    }
    for (const outcome of this.#outcomes) this.#checkInstance(outcome, reader);
    this.#checkSummary(reader);
  }

  /** Which log is whose: producers of a player come in the order of its lives. */
  #matchProducers(reader: RecordingReader): Map<number, InstanceLog> {
    const instances = new Map<number, InstanceLog>();
    for (const { index, instance } of reader.producers.values()) {
      const outcome = this.#outcomes.find(({ log }) => log.instance === instance);
      if (outcome) instances.set(index, outcome.log);
    }
    return instances;
  }

  #take(log: InstanceLog, pseq: number, event: { data: { n?: unknown } } | undefined, state: string): void {
    const found = this.#foundOf(log);
    const where = `${log.name} ${pseq}`;
    if (found.has(pseq)) this.#violate(`${where}: is there twice`);
    else if (pseq < (this.#lastPseqs.get(log) ?? 0)) this.#violate(`${where}: out of order`);
    found.add(pseq);
    this.#lastPseqs.set(log, pseq);
    const logged = log.events.get(pseq);
    this.#finalStates.set(log, state);
    if (!logged) {
      if (event) this.#violate(`${where}: nobody recorded it`);
      return;
    }
    if (!event) this.#violate(`${where}: its event is missing`);
    else if (logged.n > 0 && event.data.n !== logged.n) this.#violate(`${where}: is ${event.data.n}, not ${logged.n}`);
    if (logged.state !== state) this.#violate(`${where}: state ${state}, not ${logged.state}`);
  }

  /** Everything it recorded has to be there: it has seen that it is, or that the relay asked for the rest. */
  #isWhole({ log, isEnded }: Pick<PlayerOutcome, 'log' | 'isEnded'>): boolean {
    // Who was away when the room ended is told so too: with the power goes what it only had accepted.
    const { isCalm, hasLostPower } = this.#findings;
    const kept = hasLostPower ? log.stable : log.accepted;
    return log.isDone || (isEnded && (isCalm || kept >= log.recorded));
  }

  #checkInstance({ log, isEnded }: PlayerOutcome, reader: RecordingReader): void {
    const found = this.#foundOf(log);
    const isWhole = this.#isWhole({ log, isEnded });
    const { hasLostPower } = this.#findings;
    const survives = isWhole ? log.recorded : hasLostPower ? log.stable : log.accepted;
    const missing: number[] = [];
    for (let pseq = 1; pseq <= survives; pseq++) if (!found.has(pseq)) missing.push(pseq);
    if (missing.length > 0) {
      const why = isWhole ? 'everything' : hasLostPower ? 'all that was stable' : 'all that was accepted';
      this.#violate(
        `${log.name}: expected ${why} up to ${survives} (accepted ${log.accepted}, stable ${log.stable}), missing ${missing.slice(0, 10)} (${missing.length})`,
      );
    }
    if (isWhole && this.#finalStates.get(log) !== undefined && this.#finalStates.get(log) !== log.finalState) {
      this.#violate(`${log.name}: ends as ${this.#finalStates.get(log)}, not ${log.finalState}`);
    }
    if (!isWhole && hasLostPower) return;
    const names = new Set(reader.checkpoints.map(({ name }) => name));
    for (const name of log.checkpoints)
      if (!names.has(name)) this.#violate(`${log.name}: checkpoint ${name} is missing`);
  }

  /** Whoever is whole is said to be; whatever is missing is not called complete (W6). */
  #checkSummary(reader: RecordingReader): void {
    const { summary } = reader;
    if (!summary) {
      this.#violate('it is not finished');
      return;
    }
    for (const { id, expected, received, gaps } of summary.players) {
      const its = this.#outcomes.filter(({ log }) => log.player === id && this.#isKnown(log, reader));
      const recorded = its.reduce((sum, { log }) => sum + log.recorded, 0);
      const isWhole = its.every((outcome) => this.#isWhole(outcome));
      const says = `expected ${expected}, received ${received}, gaps ${JSON.stringify(gaps)}`;
      // Whoever could not be asked at the end may have had more than anybody knows.
      const isKnown = expected !== null || this.#findings.isCalm;
      if (isWhole && isKnown && (expected !== recorded || received !== recorded || gaps.length > 0)) {
        this.#violate(`summary of ${id}: ${says}, but all of ${recorded} must be there`);
      }
      if (expected !== null && expected < recorded && !isWhole) {
        const hasAll = its.every(({ log }) => log.isDone || log.accepted >= log.recorded);
        if (!hasAll) this.#violate(`summary of ${id}: ${says}, but ${recorded} were recorded`);
      }
    }
  }

  /** Of whom a power loss has taken all, joining included, and who has never come back, nobody knows that there was anything. */
  #isKnown({ instance, stable }: InstanceLog, { producers }: RecordingReader): boolean {
    if (!this.#findings.hasLostPower || stable > 0) return true;
    return [...producers.values()].some((producer) => producer.instance === instance);
  }

  #foundOf(log: InstanceLog): Set<number> {
    const found = this.#found.get(log) ?? new Set();
    this.#found.set(log, found);
    return found;
  }

  #violate(what: string): void {
    if (this.violations.length < 20) this.violations.push(what);
  }
}
