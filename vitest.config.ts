import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // test/kernel needs root and real namespaces and is tap's (npm run test:kernel).
    include: ['test/**/*.test.ts'],
    exclude: ['test/kernel/**', 'node_modules/**'],
    pool: 'threads',
    // Many of the tests wait for processes of their own.
    maxWorkers: 2,
    testTimeout: 20_000,
  },
});
