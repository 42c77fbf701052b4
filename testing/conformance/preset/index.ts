import { describe } from 'vitest'
import { auditTests } from './audit.ts'
import { backupTests } from './backups.ts'
import { batchTests } from './batches.ts'
import { bulkTests } from './bulk.ts'
import { cancelTests } from './cancelling.ts'
import { encryptionTests } from './encryption.ts'
import { endingTests } from './endings.ts'
import { errorTests } from './errors.ts'
import { cancellationTests } from './cancellations.ts'
import { expiryTests } from './expiries.ts'
import { explanationTests } from './explanations.ts'
import { presetFailureTests } from './failures.ts'
import { flowControlTests } from './flow-control.ts'
import { flowTests } from './flows.ts'
import { graphTests } from './graphs.ts'
import { headerTests } from './headers.ts'
import { httpTests } from './http.ts'
import { instanceTests } from './instances.ts'
import { jobActionTests } from './job-actions.ts'
import { jobOptionTests } from './job-options.ts'
import { presetJobTests } from './jobs.ts'
import { leavingTests } from './leaving.ts'
import { lookingBackTests } from './looking-back.ts'
import { permitTests } from './permits.ts'
import { replayTests } from './replays.ts'
import { retentionTests } from './retention.ts'
import { retryTests } from './retries.ts'
import { presetTest, type PresetConformanceOptions } from './rig.ts'
import { runMessageTests } from './run-messages.ts'
import { sagaTests } from './sagas.ts'
import { scheduleTests } from './schedules.ts'
import { presetSearchTests } from './searching.ts'
import { stateTests } from './states.ts'
import { statsTests } from './stats.ts'
import { streamTests } from './streams.ts'
import { subStepTests } from './sub-steps.ts'
import { triggerTests } from './triggers.ts'
import { uniqueTests } from './unique.ts'
import { upcastTests } from './upcasts.ts'
import { waitTests } from './waits.ts'
import { windowTests } from './windows.ts'

export type { PresetConformanceOptions, PresetHarness, PresetHarnessOptions } from './rig.ts'

/**
 * Registers the tests of a whole application. They are the same for every preset.
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
      presetJobTests(test)
      jobOptionTests(test)
      jobActionTests(test)
      headerTests(test)
      endingTests(test)
      retryTests(test)
      presetFailureTests(test)
      expiryTests(test)
      cancellationTests(test)
      retentionTests(test)
      presetSearchTests(test)
      bulkTests(test)
    })
    describe('flow control', () => {
      flowControlTests(test)
      permitTests(test)
      windowTests(test)
      uniqueTests(test)
    })
    describe('backups', () => {
      backupTests(test)
    })
    describe('batches', () => {
      batchTests(test)
    })
    describe('flows', () => {
      flowTests(test)
      graphTests(test)
      sagaTests(test)
      cancelTests(test)
      runMessageTests(test)
    })
    describe('looking back', () => {
      lookingBackTests(test)
      explanationTests(test)
    })
    describe('waits', () => {
      waitTests(test)
    })
    describe('sub-steps', () => {
      subStepTests(test)
      replayTests(test)
      leavingTests(test)
    })
    describe('schedules', () => {
      scheduleTests(test)
    })
    describe('triggers', () => {
      triggerTests(test)
    })
    describe('HTTP', () => {
      httpTests(test)
    })
    describe('instances', () => {
      instanceTests(test)
    })
    describe('statistics', () => {
      statsTests(test)
    })
    describe('audit', () => {
      auditTests(test)
    })
    describe('errors', () => {
      errorTests(test)
    })
    describe('streams', () => {
      streamTests(test)
    })
    describe('state', () => {
      stateTests(test)
      upcastTests(test)
      encryptionTests(test)
    })
  })
}
