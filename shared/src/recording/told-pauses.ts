import type { ByteReader } from '../bytes/byte-reader.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { LIMITS } from '../limits.ts';
import type { OpenPause, PauseChange, ToldPauses } from './play-clock.ts';
import { readOpenPause, readPauses, writeOpenPause, writePauses } from './records.ts';

/** As a room record has them. */
export function writeToldPauses(writer: ByteWriter, { pauses, paused, changes }: ToldPauses): void {
  writePauses(writer, pauses);
  writeOpenPause(writer, paused);
  const players = [...new Set(changes.map(([, player]) => player))];
  writer.varint(players.length);
  for (const player of players) writer.text(player);
  const places = new Map(players.map((player, place) => [player, place]));
  writer.varint(changes.length);
  let last = 0;
  for (const [time, player, isPause] of changes) {
    writer.zigzag(time - last);
    writer.varint(2 * (places.get(player) as number) + (isPause ? 1 : 0));
    last = time;
  }
}

/** @throws GametapeError whatever `reader` fails with, also for what no clock tells */
export function readToldPauses(reader: ByteReader): ToldPauses {
  const pauses = readPauses(reader);
  const paused = readOpenPause(reader);
  const players: string[] = [];
  for (let count = reader.count(1); count > 0; count--) players.push(reader.text());
  const changes: PauseChange[] = [];
  let last = 0;
  for (let count = reader.count(2); count > 0; count--) {
    last += reader.zigzag();
    const what = reader.varint();
    const player = players[Math.floor(what / 2)];
    if (player === undefined) return reader.fail('has a pause of a player that it does not list');
    changes.push([last, player, what % 2 === 1]);
  }
  return checkToldPauses(reader, { pauses, paused, changes });
}

/** A clock that is begun relies on all of this (S2). @throws GametapeError whatever `reader` fails with */
export function checkToldPauses(reader: ByteReader, told: ToldPauses): ToldPauses {
  const { pauses, paused, changes } = told;
  if (pauses.length > LIMITS.pauses) reader.fail(`has ${pauses.length} pauses`);
  let last = -Number.MAX_SAFE_INTEGER;
  for (const [from, to] of pauses) {
    if (!isFrom(last, from) || !isFrom(from + 1, to)) reader.fail('has pauses out of order');
    last = to;
  }
  if (paused && (!isFrom(last, paused.since) || !isHeld(paused))) reader.fail('has a bad pause');
  last = paused?.since ?? last;
  if (changes.length > LIMITS.pauseChanges) reader.fail(`has ${changes.length} changes of pauses`);
  for (const [time] of changes) {
    if (!isFrom(last, time)) reader.fail('has changes of pauses out of order');
    last = time;
  }
  return told;
}

function isFrom(last: number, time: number): boolean {
  return Number.isSafeInteger(time) && time >= last;
}

function isHeld({ players }: OpenPause): boolean {
  return players.length > 0 && new Set(players).size === players.length;
}
