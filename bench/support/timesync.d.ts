/** As much of the package as the bench uses. It brings no types. */
declare module 'timesync/dist/timesync.js' {
  interface Timesync {
    readonly offset: number;
    send(to: string, data: { readonly id: string }, timeout: number): Promise<void>;
    receive(from: string, data: { readonly id: string; readonly result: number }): void;
    sync(): Promise<void>;
    destroy(): void;
  }
  const timesync: { create(options: Readonly<Record<string, unknown>>): Timesync };
  export = timesync;
}
