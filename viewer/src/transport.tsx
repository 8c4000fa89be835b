import type { TapeCheckpoint } from '@gametape/client-sdk';
import { useComputed } from '@preact/signals';
import type { Playback } from './playback.ts';
import { formatTime } from './time.ts';

const SPEEDS = [0.5, 1, 2, 4, 8, 16];

/** Play, pause, seek, speed and checkpoints of a replay. */
export function Transport({ playback }: { playback: Playback }) {
  return (
    <section class="transport" aria-label="Playback">
      <PlayButton playback={playback} />
      <div class="timeline">
        <Slider playback={playback} />
        <Checkpoints playback={playback} />
      </div>
      <Clock playback={playback} />
      <Speed playback={playback} />
      <p class="keys quiet" aria-hidden="true">
        <kbd>space</kbd> play <kbd>←</kbd>
        <kbd>→</kbd> 5 s <kbd>Home</kbd>
        <kbd>End</kbd>
      </p>
    </section>
  );
}

function PlayButton({ playback }: { playback: Playback }) {
  const label = playback.isPlaying.value ? 'Pause' : 'Play';
  return (
    <button type="button" class="play" aria-label={label} title={`${label} (space)`} onClick={() => playback.toggle()}>
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        {playback.isPlaying.value ? <path d="M3 2h4v12H3zM9 2h4v12H9z" /> : <path d="M4 2l10 6-10 6z" />}
      </svg>
    </button>
  );
}

function Slider({ playback }: { playback: Playback }) {
  const { duration } = playback.tape;
  const time = playback.time.value;
  return (
    <input
      type="range"
      aria-label="Time"
      aria-valuetext={`${formatTime(time)} of ${formatTime(duration)}`}
      min={0}
      max={duration}
      step="any"
      value={time}
      style={`--share: ${duration > 0 ? time / duration : 0}`}
      onInput={(event) => playback.seek(event.currentTarget.valueAsNumber)}
    />
  );
}

function Checkpoints({ playback }: { playback: Playback }) {
  const { checkpoints, duration } = playback.tape;
  return (
    <div class="checkpoints">
      {checkpoints.map((checkpoint) => (
        <button
          key={`${checkpoint.eventIndex} ${checkpoint.name}`}
          type="button"
          aria-label={labelOf(checkpoint)}
          title={labelOf(checkpoint)}
          style={`--share: ${duration > 0 ? Math.min(checkpoint.time / duration, 1) : 0}`}
          onClick={() => playback.seek(checkpoint.time)}
        />
      ))}
    </div>
  );
}

function Clock({ playback }: { playback: Playback }) {
  const now = useComputed(() => formatTime(playback.time.value));
  return (
    <span class="clock">
      {now} / {formatTime(playback.tape.duration)}
    </span>
  );
}

function Speed({ playback: { speed } }: { playback: Playback }) {
  return (
    <label class="speed">
      <span class="for-readers">Speed</span>
      <select
        value={String(speed.value)}
        onChange={(event) => {
          speed.value = Number(event.currentTarget.value);
        }}
      >
        {SPEEDS.map((factor) => (
          <option key={factor} value={String(factor)}>
            {factor}×
          </option>
        ))}
      </select>
    </label>
  );
}

function labelOf({ name, time }: TapeCheckpoint): string {
  return `Checkpoint ${name} at ${formatTime(time)}`;
}
