// Puts one fault into a built file as Node loads it: node --import ./scripts/mutate.mjs, with its name in GAMETAPE_MUTATION
import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { MUTATIONS } from './mutations.mjs';

const mutation = MUTATIONS[process.env.GAMETAPE_MUTATION];

// Hooks run in a thread of their own, which loads this file once more.
if (isMainThread) register(import.meta.url);

export async function load(url, context, next) {
  const loaded = await next(url, context);
  if (!mutation || !url.endsWith(`/${mutation.file}`)) return loaded;
  const source = String(loaded.source);
  const { find, replace } = mutation;
  if (source.split(find).length !== 2) throw new Error(`${mutation.file}: expected to find once: ${find}`);
  return { ...loaded, source: source.replace(find, () => replace) };
}
