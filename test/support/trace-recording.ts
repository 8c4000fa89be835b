import { fileURLToPath } from 'node:url';
import { JSON_PROFILE } from '@gametape/shared';
import { CodePointText } from '../../server/dist/cli/code-point-text.js';
import { loadTrace } from '../../server/dist/cli/trace.js';
import { WrittenSession } from './written-session.ts';

/** Where real editing traces are, if they are there. */
export const TRACES = new URL('../../../shared/data/', import.meta.url);

/** The first edits of a trace as a recording of one player, who is called as the file is. */
export async function makeTraceRecording(file: string, edits: number): Promise<Uint8Array> {
  const trace = await loadTrace(fileURLToPath(new URL(file, TRACES)));
  const player = file.replace(/\..*/, '');
  const session = new WrittenSession(JSON_PROFILE, { [player]: { code: trace.startContent } });
  const text = new CodePointText(trace.startContent);
  for (const { at, remove, insert } of trace.edits.slice(0, edits)) {
    const edit = text.edit(at, remove, insert);
    await session.add(
      player,
      { type: 'keystroke', data: { char: insert || 'Backspace', modifiers: [] } },
      { key: 'code', edit },
    );
  }
  return session.finish();
}
