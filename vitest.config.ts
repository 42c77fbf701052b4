import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { configDefaults, defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'
import { sourceAliases } from './scripts/entry-points.ts'
import { LONG } from './test/services/long.ts'
import { LongestFirst } from './test/services/order.ts'
import { slowestFiles } from './test/services/slowest.ts'

// Each test file, and each program that it starts, loads much of the same code.
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'nuxt-queue-tests-compile-cache')

/**
 * These files need a process of their own: they measure the memory and the children of the process, count warnings that a process
 * prints once, set what is global in a process, or hold a whole database. All other files share a few processes, because loading the
 * code takes two seconds of processor time.
 */
const OWN_PROCESS = [
  'test/conformance/embedded.test.ts',
  'test/e2e/{otel,runtime-faults,runtime-soak}.test.ts',
  'test/unit/plugins/limit-shapes.test.ts',
]

function project(name: string, test: TestProjectInlineConfiguration['test']): TestProjectInlineConfiguration {
  return { extends: true, test: { name, ...test } }
}

export default defineConfig({
  resolve: {
    // Worker files and types name the package; in tests that is its source.
    alias: sourceAliases(),
  },
  test: {
    // What a test waits for ends it. These limits end what hangs, on a machine that is four times slower as well.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 60_000 } },
    reporters: ['default', slowestFiles()],
    // Two more than processors: suites of stores wait for half of their time, for clocks, stores and other processes.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    typecheck: { enabled: false },
    // Of `npm run coverage`: what the tests without stores reach.
    coverage: {
      provider: 'v8',
      include: ['contracts', 'kernel', 'plugins', 'presets', 'testing'],
      reporter: ['text-summary', 'html'],
    },
    projects: LONG
      ? [project('long', { include: ['test/**/*.long.ts'] })]
      : [
          project('apart', { include: OWN_PROCESS }),
          project('together', {
            include: ['test/**/*.test.ts'],
            exclude: [...configDefaults.exclude, ...OWN_PROCESS],
            isolate: false,
          }),
        ],
  },
})
