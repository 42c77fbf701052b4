import { describe } from 'vitest'
import { collectReports } from '../harness.ts'
import { applicationTests } from './application.ts'
import { attemptTests } from './attempts.ts'
import { claimTests } from './claims.ts'
import { dataTests } from './data.ts'
import { fairnessTests } from './fairness.ts'
import { failureTests } from './failures.ts'
import { forgottenTests } from './forgotten.ts'
import { hostileTests } from './hostile.ts'
import { jobTests } from './jobs.ts'
import { neighbourTests } from './neighbours.ts'
import { orderTests } from './order.ts'
import { queueLimitTests } from './queue-limits.ts'
import { queueTest, type QueueConformanceOptions } from './rig.ts'
import { searchTests } from './search.ts'
import { signalTests } from './signals.ts'
import { workerTests } from './workers.ts'

export type { QueueConformanceOptions, QueueHarness, QueueHarnessOptions } from './rig.ts'

/**
 * Registers the tests that every queue adapter passes. They test `QueueProvider` and `WorkerManager` directly, and through a
 * kernel.
 *
 * @example
 * queueConformance({
 *   name: 'queue-memory',
 *   async create({ reporter }) {
 *     const { kernel, ...harness } = await createPluginHarness({ plugins: [queueMemory], reporter })
 *     return { ...harness, queue: kernel.port('queue'), workers: kernel.port('workers') }
 *   },
 * })
 */
export function queueConformance({ name, create }: QueueConformanceOptions): void {
  describe(`queue conformance: ${name}`, async () => {
    const { reporter } = collectReports()
    const probe = await create({ reporter })
    const { capabilities } = probe.queue
    await probe.dispose()
    const test = queueTest(create)
    describe('jobs', () => {
      jobTests(test)
      forgottenTests(test)
    })
    describe('search', () => {
      searchTests(test, capabilities)
    })
    describe('order', () => {
      orderTests(test, capabilities)
    })
    describe('fairness', () => {
      fairnessTests(test, capabilities)
    })
    describe('limits of queues', () => {
      queueLimitTests(test, capabilities)
    })
    describe('claims', () => {
      claimTests(test, capabilities)
    })
    describe('workers', () => {
      workerTests(test)
    })
    describe('data', () => {
      dataTests(test)
    })
    describe('signals', () => {
      signalTests(test, capabilities)
    })
    describe('attempts', () => {
      attemptTests(test)
    })
    describe('failures', () => {
      failureTests(test, capabilities)
    })
    describe('neighbours', () => {
      neighbourTests(test)
    })
    describe('hostile values', () => {
      hostileTests(test)
    })
    describe('applications', () => {
      applicationTests(test)
    })
  })
}
