import { openRecording, type Tape } from '@gametape/client-sdk';
import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { ErrorNote } from './error-note.tsx';
import { Masthead } from './masthead.tsx';
import { type Playback, TapePlayback } from './playback.ts';
import { PlayerPanel } from './player-panel.tsx';
import { listenToKeys } from './replay-keys.ts';
import { formatDate } from './time.ts';
import { Transport } from './transport.tsx';
import { count, countMissing, describeCompleteness } from './words.ts';

/** How long a position must stand before the address names it, in milliseconds: browsers limit how often it may change. */
const ADDRESS_MS = 200;

/** A recording, opened and played. `source` is the address of its file, `startAt` play time in seconds. */
export function Replay({ source, startAt }: { source: string; startAt: number }) {
  const tape = useSignal<Tape | undefined>(undefined);
  const error = useSignal<unknown>(undefined);
  useEffect(() => {
    openRecording(source).then(
      (opened) => {
        tape.value = opened;
      },
      (cause) => {
        error.value = cause;
      },
    );
  }, [source, tape, error]);
  if (tape.value) return <Player tape={tape.value} startAt={startAt} />;
  return (
    <>
      <Masthead title="Recording" />
      <main class="page">
        {error.value === undefined ? (
          <p class="quiet">Opening the recording…</p>
        ) : (
          <ErrorNote what="The recording cannot be opened." error={error.value} />
        )}
      </main>
    </>
  );
}

function Player({ tape, startAt }: { tape: Tape; startAt: number }) {
  const playback = useMemo(() => new TapePlayback(tape), [tape]);
  useEffect(() => {
    playback.seek(startAt);
    const stops = [listenToKeys(playback), keepAddress(playback)];
    return () => {
      for (const stop of stops) stop();
      playback.close();
    };
  }, [playback, startAt]);
  return (
    <>
      <Masthead title={tape.room}>
        <Facts tape={tape} />
      </Masthead>
      <main class="page page-wide page-replay">
        <Failure playback={playback} />
        <Panels playback={playback} />
      </main>
      <Transport playback={playback} />
    </>
  );
}

function Facts({ tape: { createdAt, players, eventCount, complete } }: { tape: Tape }) {
  const completeness = describeCompleteness(complete, players);
  return (
    <>
      <span class="quiet">{formatDate(createdAt)}</span>
      <span class="quiet">{count(players.length, 'player')}</span>
      <span class="quiet">{count(eventCount, 'event')}</span>
      <span class={`badge ${complete ? 'badge-good' : 'badge-bad'}`} data-completeness>
        {completeness}
      </span>
    </>
  );
}

function Failure({ playback: { error } }: { playback: Playback }) {
  if (error.value === undefined) return null;
  return <ErrorNote what="This part of the recording cannot be shown." error={error.value} />;
}

function Panels({ playback: { board, tape } }: { playback: TapePlayback }) {
  const missing = new Map(tape.players.map((player) => [player.id, countMissing(player)]));
  return (
    <div class="panels">
      {board.players.value.map((player) => {
        const gap = missing.get(player.id) ?? 0;
        return <PlayerPanel key={player.id} player={player} remark={gap > 0 ? `${count(gap, 'event')} missing` : ''} />;
      })}
    </div>
  );
}

/** The address names the time last sought or paused at. Returns how to stop. */
function keepAddress({ soughtTime }: Playback): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const unsubscribe = soughtTime.subscribe((time) => {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, '', addressAt(time)), ADDRESS_MS);
  });
  return () => {
    unsubscribe();
    clearTimeout(timer);
  };
}

function addressAt(time: number): URL {
  const address = new URL(location.href);
  if (time > 0) address.searchParams.set('t', String(Number(time.toFixed(2))));
  else address.searchParams.delete('t');
  return address;
}
