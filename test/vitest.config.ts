import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    globalSetup: ['support/require-build.ts'],
    pool: 'forks',
    // Tests start relays, browsers and Python, and wait for them: on two cores a third worker saves a tenth of the time.
    maxWorkers: 3,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 30_000 } },
    teardownTimeout: 10_000,
  },
});
