import { EventType } from '@gametape/shared';
import { gameEventSchema, gameStateSchema, recordedEventSchema } from '@gametape/shared/lmsp';

/** The seed's dataclasses that stand in a pickled event, with their fields. */
export const SEED_CLASSES: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['RecordedEvent', new Set(Object.keys(recordedEventSchema.shape))],
  ['GameEvent', new Set(Object.keys(gameEventSchema.shape))],
  ['GameState', new Set(Object.keys(gameStateSchema.shape))],
]);

/** Everything that a recording may name: nothing is looked up anywhere else. */
export type KnownName = 'class' | 'EventType' | 'object' | 'reconstructor' | 'getattr';

/** What Python itself adds: `copyreg` makes objects in protocols 0 and 1, `getattr` finds members of enums in Python 3.11.0. */
const PYTHON_NAMES: ReadonlyMap<string, KnownName> = new Map([
  ['builtins.object', 'object'],
  ['__builtin__.object', 'object'],
  ['copyreg._reconstructor', 'reconstructor'],
  ['copy_reg._reconstructor', 'reconstructor'],
  ['builtins.getattr', 'getattr'],
  ['__builtin__.getattr', 'getattr'],
]);

const MODULE = /^[\p{L}_][\p{L}\p{N}_]*(\.[\p{L}_][\p{L}\p{N}_]*)*$/u;

/**
 * What `module.name` is. The seed's classes are known by name alone, because the module is wherever somebody has put the
 * document's code; no module is ever loaded, so that a false one does no harm.
 */
export function knownName(module: string, name: string): KnownName | undefined {
  const own = PYTHON_NAMES.get(`${module}.${name}`);
  if (own) return own;
  if (!MODULE.test(module)) return undefined;
  if (name === 'EventType') return name;
  return SEED_CLASSES.has(name) ? 'class' : undefined;
}

/** The value of the seed's `EventType.NAME`. */
export function eventTypeNamed(name: string): string | undefined {
  return Object.hasOwn(EventType, name) ? EventType[name as keyof typeof EventType] : undefined;
}
