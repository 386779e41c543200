import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // test/kernel needs root and real namespaces and is tap's (npm run test:kernel).
    include: ['test/**/*.test.ts'],
    exclude: ['test/kernel/**', 'node_modules/**'],
    // Processes, not threads: whatever becomes of the file descriptors and native libraries of one file is its own affair.
    pool: 'forks',
    // Many of the tests wait for processes of their own.
    maxWorkers: 2,
    testTimeout: 20_000,
  },
});
