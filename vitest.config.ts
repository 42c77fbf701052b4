import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/services/order.ts'
import { slowestFiles } from './test/services/slowest.ts'

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  resolve: {
    // Worker files and types name the package; in tests that is its source.
    alias: [
      { find: /^nuxt-queue$/, replacement: source('./index.ts') },
      { find: /^nuxt-queue\/(kernel|presets|testing|testing\/conformance)$/, replacement: source('./$1/index.ts') },
      { find: /^nuxt-queue\/child-process$/, replacement: source('./plugins/_shared/child-process/index.ts') },
      { find: /^nuxt-queue\/client$/, replacement: source('./plugins/client/index.ts') },
      { find: /^nuxt-queue\/vue$/, replacement: source('./plugins/client/vue.ts') },
      { find: /^nuxt-queue\/plugins\/(.+)$/, replacement: source('./plugins/$1/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
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
