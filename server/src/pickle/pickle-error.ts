import { GametapeError } from '@gametape/shared';

/** What errors call a pickle, such as "event 3", and where it starts in its file. */
export interface PicklePlace {
  readonly where: string;
  readonly offset: number;
}

/** An opcode by its name, and where it is in its pickle. */
export interface OpcodePlace {
  readonly name: string;
  readonly offset: number;
}

/** One line: which pickle, which opcode, which byte of the file, what is wrong. */
export function opcodeError(
  code: 'BAD_RECORDING' | 'DAMAGED' | 'LIMIT_EXCEEDED',
  pickle: PicklePlace,
  opcode: OpcodePlace,
  message: string,
): GametapeError {
  const place = `${pickle.where}: ${opcode.name} at byte ${pickle.offset + opcode.offset}`;
  return new GametapeError(code, `${place}: ${message}`, { hint: PICKLE_HINT });
}

export const PICKLE_HINT =
  'Nothing of it was run. If you trust the file, load it with the Python that wrote it and save it with save_compressed: ' +
  'gametape reads .lmsp.gz.';
