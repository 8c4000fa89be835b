/** The part of pino's face that the relay uses: any logger of that shape will do. */
export interface Logger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export const SILENT: Logger = { info: () => {}, warn: () => {}, error: () => {} };
