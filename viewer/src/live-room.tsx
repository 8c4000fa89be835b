import { isGametapeError } from '@gametape/shared';
import { useEffect, useMemo } from 'preact/hooks';
import { ErrorNote } from './error-note.tsx';
import { LiveFeed } from './live-feed.ts';
import { Masthead } from './masthead.tsx';
import { PlayerPanel, playerColour } from './player-panel.tsx';
import { listenToKeys } from './replay-keys.ts';
import { formatDate, formatTime } from './time.ts';
import { Transport } from './transport.tsx';

/** A live room: every player as it plays, and what happens. */
export function LiveRoom({ room }: { room: string }) {
  const feed = useMemo(() => new LiveFeed(room), [room]);
  useEffect(() => {
    void feed.start();
    return () => feed.stop();
  }, [feed]);
  const playback = feed.playback.value;
  useEffect(() => (playback ? listenToKeys(playback) : undefined), [playback]);
  return (
    <>
      <Masthead title={room}>
        <span class={`badge status-${feed.status.value}`} role="status">
          {feed.status.value}
        </span>
        {feed.delay.value > 0 && <span class="quiet">shown {formatDelay(feed.delay.value)} late</span>}
      </Masthead>
      <main class={`page page-wide ${playback ? 'page-replay' : ''}`}>
        <Ended feed={feed} />
        <Trouble feed={feed} />
        <Panels feed={feed} />
        <Log feed={feed} />
      </main>
      {playback && <Transport playback={playback} />}
    </>
  );
}

function Ended({ feed: { recordingId, room } }: { feed: LiveFeed }) {
  if (recordingId.value === undefined) return null;
  return (
    <div class="note note-good" role="status">
      <p>
        <strong>{room} has ended.</strong> <a href={`/r/${recordingId.value}`}>Watch the recording</a>
      </p>
    </div>
  );
}

function Trouble({ feed }: { feed: LiveFeed }) {
  const error = feed.error.value;
  if (error === undefined || feed.recordingId.value !== undefined) return null;
  const isMissing = isGametapeError(error, 'NOT_FOUND') || isGametapeError(error, 'ROOM_ENDED');
  if (!isMissing) return <ErrorNote what="Something is wrong with this room." error={error} />;
  return (
    <div class="note" role="status">
      <p>
        <strong>Nobody plays in {feed.room} now.</strong> This page looks again every two seconds.
      </p>
      {feed.earlier.value.length > 0 && (
        <>
          <p>It was recorded before:</p>
          <ul>
            {feed.earlier.value.slice(0, 10).map(({ id, createdAt, durationS }) => (
              <li key={id}>
                <a href={`/r/${id}`}>{formatDate(new Date(createdAt))}</a>, {formatTime(durationS)} long
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

function Panels({ feed: { board, status } }: { feed: LiveFeed }) {
  const players = board.players.value;
  if (players.length === 0 && status.value === 'live') return <p class="quiet">No player has joined yet.</p>;
  return (
    <div class="panels">
      {players.map((player) => (
        <PlayerPanel key={player.id} player={player} />
      ))}
    </div>
  );
}

function Log({ feed: { log, board, status } }: { feed: LiveFeed }) {
  if (log.value.length === 0 && status.value === 'connecting') return null;
  return (
    <section class="log" aria-labelledby="log-title">
      <h2 id="log-title">Events</h2>
      {log.value.length === 0 && <p class="quiet">Nothing yet: events are listed as they play.</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls must be reachable with the keyboard. */}
      <ol tabIndex={0} aria-label="The last 100 events, newest first">
        {log.value.map(({ key, time, player, type, detail, late }) => (
          <li key={key}>
            <time>{formatTime(time)}</time>
            <span class="log-player" style={playerColour(board.player(player).colour)}>
              {board.player(player).name.value}
            </span>
            <span>{type}</span>
            <span class="quiet log-detail">
              {late && <span class="badge badge-late">late</span>}
              {detail}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function formatDelay(seconds: number): string {
  return seconds < 60 ? `${Math.round(seconds)} s` : formatTime(seconds);
}
