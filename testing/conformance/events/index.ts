import { describe } from 'vitest'
import { collectReports } from '../harness.ts'
import { appendTests } from './append.ts'
import { hostileTests } from './hostile.ts'
import { modelTests } from './model.ts'
import { neighbourTests } from './neighbours.ts'
import { readTests } from './read.ts'
import { eventsTest, type EventsConformanceOptions } from './rig.ts'
import { runTests } from './runs.ts'
import { subscribeTests } from './subscribe.ts'

export type { EventsConformanceOptions, EventsHarness } from './rig.ts'

/**
 * Registers the tests that every event store passes.
 *
 * @example
 * eventsConformance({
 *   name: 'events-memory',
 *   async create({ reporter }) {
 *     const { kernel, ...harness } = await createPluginHarness({ plugins: [eventsMemory], reporter })
 *     return { ...harness, events: kernel.port('events') }
 *   },
 * })
 */
export function eventsConformance({ name, create }: EventsConformanceOptions): void {
  describe(`events conformance: ${name}`, async () => {
    const { reporter } = collectReports()
    const probe = await create({ reporter })
    const { capabilities } = probe.events
    const rewinds = probe.rewind !== undefined
    await probe.dispose()
    const test = eventsTest(create)
    describe('append', () => {
      appendTests(test, { rewinds })
      modelTests(test)
      neighbourTests(test)
      hostileTests(test)
    })
    describe('read', () => {
      readTests(test)
    })
    describe('subscribe', () => {
      subscribeTests(test, capabilities)
    })
    describe('runs', () => {
      runTests(test)
    })
  })
}
