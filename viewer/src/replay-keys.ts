import type { Playback } from './playback.ts';

const STEP_S = 5;

/** The keys of a replay, anywhere on the page but where they mean something else. Returns how to stop. */
export function listenToKeys(playback: Playback): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTakenBy(event.target, event.key)) return;
    const action = actionOf(event.key, playback);
    if (!action) return;
    event.preventDefault();
    action();
  };
  document.addEventListener('keydown', onKey);
  return () => document.removeEventListener('keydown', onKey);
}

function actionOf(key: string, playback: Playback): (() => void) | undefined {
  switch (key) {
    case ' ':
    case 'k':
      return () => playback.toggle();
    case 'ArrowLeft':
      return () => playback.seekBy(-STEP_S);
    case 'ArrowRight':
      return () => playback.seekBy(STEP_S);
    case 'Home':
      return () => playback.seek(0);
    case 'End':
      return () => (playback.isGrowing ? playback.goLive() : playback.goToEnd());
    case ',':
      return () => playback.step(-1);
    case '.':
      return () => playback.step(1);
    default:
      return undefined;
  }
}

/** Fields take every key, buttons and links the space that presses them. The slider's own keys are these. */
function isTakenBy(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return target.type !== 'range';
  if (target.isContentEditable || target.matches('select, textarea')) return true;
  return key === ' ' && target.matches('button, a, summary');
}
