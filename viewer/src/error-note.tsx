import { isGametapeError } from '@gametape/shared';

/** What went wrong and what to do about it, in words. */
export function ErrorNote({ error, what }: { error: unknown; what: string }) {
  const message = error instanceof Error ? error.message : String(error);
  return (
    <div class="note note-bad" role="alert">
      <p>
        <strong>{what}</strong> {message}
      </p>
      {isGametapeError(error) && <p>{error.hint}</p>}
    </div>
  );
}
