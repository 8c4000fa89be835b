import { useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { CodeView } from './code-view.ts';
import { cursorOf, type PlayerModel } from './player-board.ts';

/** One player: who it is, how it is going, and the code, or the state of a game that has none. */
export function PlayerPanel({ player, remark }: { player: PlayerModel; remark?: string | undefined }) {
  const { id, name, presence, clockErrorS, state, code } = player;
  return (
    <article class="panel" aria-label={`Player ${name.value}`} data-player={id} style={playerColour(player.colour)}>
      <header class="panel-head">
        <h2>{name.value}</h2>
        {name.value !== id && <span class="quiet">{id}</span>}
        {presence.value !== 'recorded' && <PresenceBadge presence={presence.value} />}
        {clockErrorS.value !== undefined && <ClockError seconds={clockErrorS.value} />}
        {remark && <span class="badge badge-bad">{remark}</span>}
        <div class="gauges">
          <Tests player={player} />
          <EmotionMeter player={player} />
        </div>
      </header>
      {code.value !== undefined && <Code player={player} />}
      {code.value === undefined && state.value !== undefined && <pre class="state">{formatState(player)}</pre>}
      {state.value === undefined && <p class="panel-empty">No state at this time.</p>}
    </article>
  );
}

/** The style that gives an element its player's colour. */
export function playerColour(colour: number): string {
  return `--player: var(--player-${colour})`;
}

function PresenceBadge({ presence }: { presence: string }) {
  return <span class={`badge presence-${presence.split(' ', 1)[0]}`}>{presence}</span>;
}

function ClockError({ seconds }: { seconds: number }) {
  return (
    <span class="quiet" title="How exact this player's times are">
      ±{(seconds * 1_000).toFixed(1)} ms
    </span>
  );
}

function Tests({ player: { testsPassing, testsTotal } }: { player: PlayerModel }) {
  const [passing, total] = [testsPassing.value, testsTotal.value];
  if (total <= 0) return null;
  return (
    <span class="gauge">
      <span>
        {passing} of {total} tests pass
      </span>
      <span class="bar bar-tests" aria-hidden="true" style={`--share: ${share(passing / total)}`} />
    </span>
  );
}

function EmotionMeter({ player: { emotion } }: { player: PlayerModel }) {
  if (!emotion.value) return null;
  const { dimension, value } = emotion.value;
  return (
    <span class="gauge">
      <span>
        {dimension} {value.toFixed(2)}
      </span>
      <span class="bar bar-emotion" aria-hidden="true" style={`--share: ${share(value)}`} />
    </span>
  );
}

function Code({ player }: { player: PlayerModel }) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<CodeView>(undefined);
  useEffect(() => {
    if (!host.current) return undefined;
    const made = new CodeView(host.current, `Code of ${player.name.peek()}`);
    made.show(player.code.peek() ?? '', cursorOf(player.state.peek()));
    view.current = made;
    return () => {
      made.destroy();
      view.current = undefined;
    };
  }, [player]);
  useSignalEffect(() => {
    const { code, state } = player;
    view.current?.show(code.value ?? '', cursorOf(state.value));
  });
  return <div class="code" ref={host} />;
}

function formatState({ state }: PlayerModel): string {
  return JSON.stringify(state.value, null, 2);
}

function share(value: number): number {
  return Number.isFinite(value) ? Math.min(Math.max(value, 0), 1) : 0;
}
