import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { defineConfig } from 'vitest/config'
import { sourceAliases } from './scripts/entry-points.ts'
import { LongestFirst } from './test/services/order.ts'
import { slowestFiles } from './test/services/slowest.ts'

// Each test file, and each program that it starts, loads much of the same code.
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'nuxt-queue-tests-compile-cache')

export default defineConfig({
  resolve: {
    // Worker files and types name the package; in tests that is its source.
    alias: sourceAliases(),
  },
  test: {
    // The long form of some tests has a command of its own: `npm run test:long`.
    include: [process.env.LONG_TESTS === undefined ? 'test/**/*.test.ts' : 'test/**/*.long.ts'],
    // What a test waits for ends it. These limits end what hangs, on a machine that is four times slower as well.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 60_000 } },
    reporters: ['default', slowestFiles()],
    // More than two only slow each other down on two processors.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    typecheck: { enabled: false },
  },
})
