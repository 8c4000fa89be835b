import { type Signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ErrorNote } from './error-note.tsx';
import { Masthead } from './masthead.tsx';
import { fetchRecordings, fetchRooms, type RecordingRow, type RoomRow, relayUrl } from './rooms-api.ts';
import { formatDate, formatTime } from './time.ts';
import { count, formatBytes, formatNames } from './words.ts';

const REFRESH_MS = 2_000;
/** Recordings listed before "show all". */
const FIRST_ROWS = 50;

interface Lists {
  readonly rooms: readonly RoomRow[];
  readonly recordings: readonly RecordingRow[];
}

/** What the relay has: live rooms and recordings. */
export function Home() {
  const lists = useSignal<Lists | undefined>(undefined);
  const error = useSignal<unknown>(undefined);
  useEffect(() => refreshWhileVisible(lists, error), [lists, error]);
  return (
    <>
      <Masthead />
      <main class="page">
        {error.value !== undefined && (
          <ErrorNote
            what={lists.value ? 'These lists may be old.' : 'The relay has not said what it has.'}
            error={error.value}
          />
        )}
        <section aria-labelledby="rooms-title">
          <h2 id="rooms-title">Live now</h2>
          {lists.value && <Rooms rooms={lists.value.rooms} />}
          {!lists.value && error.value === undefined && <p class="quiet">Asking the relay…</p>}
        </section>
        <section aria-labelledby="recordings-title">
          <h2 id="recordings-title">Recordings</h2>
          {lists.value && <Recordings recordings={lists.value.recordings} />}
        </section>
      </main>
    </>
  );
}

function Rooms({ rooms }: { rooms: readonly RoomRow[] }) {
  if (rooms.length === 0) return <NoRooms />;
  return (
    <ul class="rooms">
      {rooms.map(({ room, players, spectators, events, durationS }) => (
        <li key={room}>
          <a class="room" href={`/live/${room}`}>
            <span class="room-name">
              <span class="live-dot" aria-hidden="true" />
              {room}
            </span>
            <span class="room-time">{formatTime(durationS)}</span>
            <span class="room-players">{formatNames(players.map(({ id }) => id))}</span>
            <span class="quiet">
              {count(events, 'event')}
              {spectators > 0 && `, ${count(spectators, 'spectator')}`}
              {players.some(({ connected }) => !connected) && `, ${dropped(players)} dropped`}
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}

function NoRooms() {
  return (
    <div class="note">
      <p>No room is live. Let bots play in one:</p>
      <pre>
        <code>{`npx gametape bots --url ${relayUrl()} --room demo --trace session.json.gz`}</code>
      </pre>
      <p>or connect a game:</p>
      <pre>
        <code>{`import { connect } from '@gametape/client-sdk';

const session = await connect({ url: '${relayUrl()}', room: 'demo', player: 'ann' });
session.record({ type: 'keystroke', data: { char: 'd', modifiers: [] } });`}</code>
      </pre>
    </div>
  );
}

function Recordings({ recordings }: { recordings: readonly RecordingRow[] }) {
  const showAll = useSignal(false);
  if (recordings.length === 0) {
    return (
      <div class="note">
        <p>
          No recording yet. A room leaves one when it ends: <code>await session.end()</code> in a game, or{' '}
          <code>npx gametape bots … --end</code>.
        </p>
      </div>
    );
  }
  const shown = showAll.value ? recordings : recordings.slice(0, FIRST_ROWS);
  return (
    <>
      <div class="table-frame">
        <table>
          <thead>
            <tr>
              <th scope="col">Room</th>
              <th scope="col">Recorded</th>
              <th scope="col">Players</th>
              <th scope="col" class="number">
                Length
              </th>
              <th scope="col" class="number">
                Events
              </th>
              <th scope="col" class="number">
                Size
              </th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <Recording key={row.id} row={row} />
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < recordings.length && (
        <button
          type="button"
          onClick={() => {
            showAll.value = true;
          }}
        >
          Show all {recordings.length.toLocaleString()}
        </button>
      )}
    </>
  );
}

function Recording({ row }: { row: RecordingRow }) {
  return (
    <tr>
      <td>
        <a href={`/r/${row.id}`}>{row.room}</a>
      </td>
      <td>{formatDate(new Date(row.createdAt))}</td>
      <td>{formatNames(row.players)}</td>
      <td class="number">{formatTime(row.durationS)}</td>
      <td class="number">{row.events.toLocaleString()}</td>
      <td class="number">{formatBytes(row.bytes)}</td>
      <td class={row.complete ? 'good' : 'bad'}>{row.complete ? 'complete' : 'events missing'}</td>
    </tr>
  );
}

/** Asks now and every `REFRESH_MS` while the page is seen; returns how to stop. */
function refreshWhileVisible(lists: Signal<Lists | undefined>, error: Signal<unknown>): () => void {
  const stop = new AbortController();
  let isAsking = false;
  const refresh = async () => {
    if (document.hidden || isAsking) return;
    isAsking = true;
    try {
      const [rooms, recordings] = await Promise.all([fetchRooms(stop.signal), fetchRecordings(stop.signal)]);
      lists.value = { rooms, recordings };
      error.value = undefined;
    } catch (cause) {
      if (!stop.signal.aborted) error.value = cause;
    } finally {
      isAsking = false;
    }
  };
  const timer = setInterval(refresh, REFRESH_MS);
  document.addEventListener('visibilitychange', refresh, { signal: stop.signal });
  void refresh();
  return () => {
    clearInterval(timer);
    stop.abort();
  };
}

function dropped(players: RoomRow['players']): number {
  return players.filter(({ connected }) => !connected).length;
}
