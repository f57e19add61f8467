import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 30_000,
    // The default leaves one core idle, half of a small machine.
    maxWorkers: '100%',
  },
});
