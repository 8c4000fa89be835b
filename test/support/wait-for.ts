const POLL_MS = 5;
/** For a machine that does much else at the same time: nothing passes any later for it. */
const LIMIT_MS = 30_000;

/** Polls until `condition` gives something true, and returns that. Rejects, naming `what`, when `limitMs` is over. */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  limitMs = LIMIT_MS,
): Promise<Exclude<T, false | undefined | null | 0 | ''>> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<T, false | undefined | null | 0 | ''>;
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** The promise, or a rejection that names `what` when it takes longer than `limitMs`. */
export async function within<T>(what: string, promise: Promise<T>, limitMs = LIMIT_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${limitMs} ms in vain for ${what}`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
