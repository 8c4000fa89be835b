// A spool store that is called from elsewhere, in a process (`node spool-host.mjs DIRECTORY`) or a page of its own.

/** Takes calls one after another. Spools are named by numbers, bytes travel as arrays. */
export class SpoolHost {
  #store;
  #spools = [];
  #last = Promise.resolve();

  constructor(store) {
    this.#store = store;
  }

  call(method, args) {
    this.#last = this.#last.then(() => this.#run(method, args));
    return this.#last;
  }

  async #run(method, [first, ...rest]) {
    if (method === 'create') return this.#add(await this.#store.create(first));
    if (method === 'takeOver') {
      // The text of a function that needs nothing but its argument.
      const isWanted = new Function(`return ${first}`)();
      return (await this.#store.takeOver(isWanted)).map((spool) => this.#add(spool));
    }
    if (method === 'close') return await this.#store.close();
    const spool = this.#spools[first];
    if (method === 'append') return spool.append(rest[0], Uint8Array.from(rest[1]));
    if (method === 'read') return (await spool.read()).map(({ number, bytes }) => ({ number, bytes: [...bytes] }));
    return await spool[method](...rest);
  }

  #add(spool) {
    return { id: this.#spools.push(spool) - 1, name: spool.name, isImmediate: spool.isImmediate };
  }
}

if (typeof process !== 'undefined' && process.argv[1]?.endsWith('spool-host.mjs')) {
  const [{ openFileSpools }, { createInterface }] = await Promise.all([
    import('../../client-sdk/dist/platform/file-spool.js'),
    import('node:readline'),
  ]);
  const host = new SpoolHost(await openFileSpools({ directory: process.argv[2] }));
  createInterface(process.stdin).on('line', async (line) => {
    const { method, args } = JSON.parse(line);
    const result = await host.call(method, args).catch((error) => ({ error: String(error) }));
    process.stdout.write(`${JSON.stringify(result ?? null)}\n`);
  });
}
