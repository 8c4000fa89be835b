/** What the command line exits with; scripts rely on it. */
export const ExitCode = {
  Ok: 0,
  Failed: 1,
  Usage: 2,
  /** Done, but something is lost or incomplete. */
  Losses: 3,
  NotAllowed: 4,
  /** The file is damaged, unfinished or different. */
  Damaged: 5,
  Interrupted: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
