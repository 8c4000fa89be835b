import {
  type ByteSink,
  type Compression,
  EventType,
  GametapeError,
  isId,
  type RecordingReader,
  type RecordingSummary,
} from '@gametape/shared';
import { NODE_COMPRESSION } from '../node-compression.ts';
import { RecordingTimeline } from '../recording/recording-timeline.ts';
import { RedactedCopy } from './redacted-copy.ts';
import { editedName } from './redaction.ts';
import { RedactionWalk } from './redaction-walk.ts';
import { TextMatcher, type TextPatterns } from './text-matcher.ts';
import { TextMarks } from './text-trail.ts';
import { eachText, ValueRedactor } from './value-redactor.ts';
import { MIN_NAME_LENGTH, Words } from './words.ts';

export interface RedactOptions {
  /** Id of the recording that is written. */
  readonly recordingId: string;
  /** Whose name or text it is about. */
  readonly player?: string | undefined;
  /** What the player is called instead; its name stays if left out. */
  readonly name?: string | undefined;
  /** All that the player has written goes. */
  readonly text?: boolean;
  /** What goes wherever it is, whoever wrote it. */
  readonly patterns?: TextPatterns;
  /** When this is done, in seconds since 1970. */
  readonly at: number;
  readonly compression?: Compression;
}

export interface RedactResult {
  readonly summary: RecordingSummary;
  /** Characters of edited and typed text that were blotted out because of what they were part of. */
  readonly characters: number;
  /** What had to be left out because it cannot be looked through, in readable lines. */
  readonly losses: readonly string[];
}

const NO_PATTERNS: TextPatterns = { literals: [], expressions: [], ignoreCase: false };

/**
 * Writes a recording without a player's name, without what a player has written, or without what patterns find. A first pass
 * follows every code unit from where it was inserted and marks those that are ever part of a match, also if that comes about
 * letter by letter; a second pass writes the recording with the marked ones blotted out from the start. Memory grows with what
 * is found, not with the recording (R6).
 *
 * @throws GametapeError `NOT_FOUND` for a player that is not there, `NAME_TAKEN`, `BAD_ID` for a new name that will not do,
 *   `LIMIT_EXCEEDED`, `DAMAGED`
 */
export async function redactRecording(
  reader: RecordingReader,
  sink: ByteSink,
  options: RedactOptions,
): Promise<RedactResult> {
  const { player, name, text = false, patterns = NO_PATTERNS, compression = NODE_COMPRESSION } = options;
  const timeline = await RecordingTimeline.open(reader);
  checkNames(reader, options);
  const names = name === undefined || player === undefined ? new Set<string>() : await namesOf(timeline, player);
  const longNames = [...names].filter(({ length }) => length >= MIN_NAME_LENGTH);
  const ofPatterns = new TextMatcher(patterns);
  const matcher = new TextMatcher({ ...NO_PATTERNS, literals: longNames }, ofPatterns);
  if (name !== undefined && matcher.has(name)) {
    throw new GametapeError('NAME_TAKEN', `${JSON.stringify(name)}: it has in it what it is to replace`);
  }
  const marks = new TextMarks();
  const edited = new Set<string>();
  const spoilt = new Set<string>();
  const survey = new RedactionWalk(timeline, { marks, matcher, crc32: compression.crc32 });
  await survey.run({
    entry({ entry, body, context }) {
      if (body.event) survey.events(context.player).follow(body.event);
      const changes =
        body.change?.form === 'delta' ? body.change.ops : (body.change?.entries.map(([key]) => ({ key })) ?? []);
      for (const change of changes) {
        if ('op' in change && change.op === 'splice') edited.add(editedName(entry.producer, change.key));
        const value =
          'op' in change && (change.op === 'splice' || change.op === 'add') ? null : context.state.get(change.key);
        if (typeof value !== 'object' || value === null || ofPatterns.isEmpty) continue;
        eachText(value, change.key, (found, place) => ofPatterns.has(found) && spoilt.add(place));
      }
    },
  });
  const { profile } = timeline;
  const words = new Words({ profile, matcher, names, replacement: name ?? '', players: playersOf(reader) });
  const owner = text ? player : undefined;
  const values = new ValueRedactor({ words, profile, owner, isSpoilt: (place) => spoilt.has(place) });
  const redaction = { profile, words, values, marks, matcher, owner, edited };
  const copy = new RedactedCopy(timeline, sink, { ...options, redaction, compression });
  return await copy.write();
}

/** What a player is called: its id, and the names it came in with. */
async function namesOf(timeline: RecordingTimeline, player: string): Promise<Set<string>> {
  const names = new Set([player]);
  const walk = new RedactionWalk(timeline, {
    marks: new TextMarks(),
    matcher: undefined,
    crc32: NODE_COMPRESSION.crc32,
  });
  await walk.run({
    entry({ body: { event }, context }) {
      const name = event?.type === EventType.PLAYER_JOIN && context.player === player ? event.data.name : undefined;
      if (typeof name === 'string' && name !== '') names.add(name);
    },
  });
  return names;
}

function playersOf({ producers }: RecordingReader): Set<string> {
  return new Set([...producers.values()].map((producer) => producer.player));
}

function checkNames(reader: RecordingReader, { player, name }: RedactOptions): void {
  const { source } = reader;
  const players = playersOf(reader);
  if (player !== undefined && !players.has(player)) {
    const known = [...players].join(', ') || 'none';
    throw new GametapeError('NOT_FOUND', `${source.name}: there is no player ${player}; its players are ${known}`);
  }
  if (name === undefined) return;
  const found = JSON.stringify(name.slice(0, 80));
  if (!isId(name)) {
    throw new GametapeError('BAD_ID', `new name: expected 1 to 64 letters, digits, "_" or "-", found ${found}`);
  }
  if (players.has(name)) throw new GametapeError('NAME_TAKEN', `${source.name}: there is a player ${name} already`);
}
