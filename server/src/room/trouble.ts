import type { GametapeError } from '@gametape/shared';

/** What cannot be stored for now, although nothing is lost: `/readyz` says so (J5). */
export interface Trouble {
  readonly room: string;
  readonly error: GametapeError;
}
