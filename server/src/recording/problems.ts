import type { ErrorCode } from '@gametape/shared';

/** Problems beyond this many are counted, not kept (R6). */
const MAX_PROBLEMS = 100;

/** Something that is wrong with a file, and where. */
export interface Problem {
  readonly code: ErrorCode;
  /** A part of the file: `header`, `block 3 at byte 88120`, `event 4102 of player ann`, `index`. */
  readonly where: string;
  readonly message: string;
}

/** Collects what is wrong. */
export class Problems {
  readonly list: Problem[] = [];
  more = 0;

  add(where: string, message: string, code: ErrorCode = 'DAMAGED'): void {
    if (this.list.length < MAX_PROBLEMS) this.list.push({ code, where, message });
    else this.more++;
  }

  get isEmpty(): boolean {
    return this.list.length === 0;
  }
}
