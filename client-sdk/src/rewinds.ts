import { GametapeError } from '@gametape/shared';

interface Asked {
  readonly name: string;
  isSent: boolean;
  readonly resolve: () => void;
  readonly reject: (error: GametapeError) => void;
}

/** The rewinds that a session has asked for and not been answered (T8). */
export class Rewinds {
  readonly #send: (name: string) => boolean;
  #asked: Asked[] = [];

  /** `send` returns false while there is nobody to ask. */
  constructor(send: (name: string) => boolean) {
    this.#send = send;
  }

  ask(name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ name, isSent: false, resolve, reject });
      this.sendAll();
    });
  }

  /** Asks for what has waited for the connection. */
  sendAll(): void {
    for (const asked of this.#asked) if (!asked.isSent) asked.isSent = this.#send(asked.name);
  }

  /** Everybody is where that checkpoint was, because this session asked for it: of those to the same name, the first. */
  happened(name: unknown): void {
    this.#answered(name)?.resolve();
  }

  refused(name: string, error: GametapeError): void {
    this.#answered(name)?.reject(error);
  }

  /** The connection is lost: to ask again might rewind a second time. */
  lost(): void {
    const lost = this.#asked.filter(({ isSent }) => isSent);
    this.#asked = this.#asked.filter(({ isSent }) => !isSent);
    const hint = 'Wait for the event `rewind`, which tells if it happened all the same; else ask again.';
    for (const { name, reject } of lost) {
      const message = `rewind to ${JSON.stringify(name)}: the connection was lost before the answer`;
      reject(new GametapeError('UNREACHABLE', message, { hint }));
    }
  }

  close(error: GametapeError): void {
    for (const { reject } of this.#asked.splice(0)) reject(error);
  }

  #answered(name: unknown): Asked | undefined {
    const answered = this.#asked.find((asked) => asked.isSent && asked.name === name);
    this.#asked = this.#asked.filter((asked) => asked !== answered);
    return answered;
  }
}
