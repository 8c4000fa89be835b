import { useComputed } from '@preact/signals';
import type { Mark, Playback } from './playback.ts';
import { formatTime } from './time.ts';

const SPEEDS = [0.5, 1, 2, 4, 8, 16];

/** Seconds behind the live edge that are worth telling. */
const BEHIND_S = 0.5;

/** Play, pause, seek, speed and checkpoints of a replay, and the way back to what happens now in a live room. */
export function Transport({ playback }: { playback: Playback }) {
  return (
    <section class="transport" aria-label="Playback">
      <PlayButton playback={playback} />
      <div class="timeline">
        <Slider playback={playback} />
        <Checkpoints playback={playback} />
      </div>
      <Clock playback={playback} />
      {playback.isLiveRoom.value && <LiveButton playback={playback} />}
      <Speed playback={playback} />
      <p class="keys quiet" aria-hidden="true">
        <kbd>space</kbd> play <kbd>←</kbd>
        <kbd>→</kbd> 5 s <kbd>,</kbd>
        <kbd>.</kbd> event <kbd>Home</kbd>
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
  const [time, duration] = [playback.time.value, playback.duration.value];
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
  const duration = playback.duration.value;
  return (
    <div class="checkpoints">
      {playback.checkpoints.value.map((checkpoint) => (
        <button
          key={`${checkpoint.time} ${checkpoint.name}`}
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
  const end = useComputed(() => formatTime(playback.duration.value));
  return (
    <span class="clock">
      {now} / {end}
    </span>
  );
}

/** Says how far behind it is, and goes to what happens now. */
function LiveButton({ playback }: { playback: Playback }) {
  const { isLive, time, duration } = playback;
  const text = useComputed(() => {
    if (isLive.value) return 'Live';
    const behind = duration.value - time.value;
    return behind < BEHIND_S ? 'Go live' : `Go live, ${formatTime(behind)} behind`;
  });
  return (
    <button
      type="button"
      class={`live ${isLive.value ? 'is-live' : ''}`}
      aria-pressed={isLive.value}
      title="What happens now (End)"
      onClick={() => playback.goLive()}
    >
      {text}
    </button>
  );
}

function Speed({ playback }: { playback: Playback }) {
  const { speed } = playback;
  return (
    <label class="speed">
      <span class="for-readers">Speed</span>
      <select
        value={String(speed.value)}
        onChange={(event) => {
          playback.setSpeed(Number(event.currentTarget.value));
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

function labelOf({ name, time }: Mark): string {
  return `Checkpoint ${name} at ${formatTime(time)}`;
}
