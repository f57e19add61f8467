import { defineConfig } from 'vitest/config';
import base from './vitest.config.ts';

/** What is too long for `npm test`: short forms by `npm run test:harness`, whole ones by `test:kill`, `test:damage`, `test:power`, `test:races`. */
export default defineConfig({
  test: {
    ...base.test,
    include: ['test/harness/**/*.test.ts', 'test/model/**/*.test.ts'],
    exclude: [],
    hookTimeout: 120_000,
    maxConcurrency: 2,
  },
});
