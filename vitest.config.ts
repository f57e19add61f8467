import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/harness/**', 'test/model/**'],
    testTimeout: 120_000,
    hookTimeout: 30_000,
    // The default leaves one core idle, half of a small machine.
    maxWorkers: '100%',
    // The S3 SDK warns of the end of Node 20 on every start.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
  },
});
