import { describe } from 'vitest'
import { batchTests } from './batches.ts'
import { flowControlTests } from './flow-control.ts'
import { flowTests } from './flows.ts'
import { jobTests } from './jobs.ts'
import { presetTest, type PresetConformanceOptions } from './rig.ts'
import { stateTests } from './states.ts'
import { windowTests } from './windows.ts'

export type { PresetConformanceOptions, PresetHarness, PresetHarnessOptions } from './rig.ts'

/**
 * Registers the tests of what an application sees, which are the same for every preset.
 *
 * @example
 * presetConformance({
 *   name: 'dev',
 *   async create(options) {
 *     const kernel = await createKernel({ preset: dev, ...options })
 *     return { kernel, dispose: () => {} }
 *   },
 * })
 */
export function presetConformance({ name, create }: PresetConformanceOptions): void {
  describe(`preset conformance: ${name}`, () => {
    const test = presetTest(create)
    describe('jobs', () => {
      jobTests(test)
    })
    describe('flow control', () => {
      flowControlTests(test)
      windowTests(test)
    })
    describe('batches', () => {
      batchTests(test)
    })
    describe('flows', () => {
      flowTests(test)
    })
    describe('state', () => {
      stateTests(test)
    })
  })
}
