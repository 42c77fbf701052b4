import { didYouMean } from '../../kernel/index.ts'
import { seeded } from '../conformance/random.ts'
import { toMilliseconds } from '../virtual-clock.ts'
import { checkChaosOptions } from './check-options.ts'
import { FAULT_KINDS, generateSchedule } from './generate.ts'
import { printTest, printTrace } from './print.ts'
import { hashOf, runOnce, type ScenarioResult } from './run.ts'
import { shrinkSchedule } from './shrink.ts'
import type { ChaosError, ChaosFault, ChaosOptions, ChaosReport, ChaosTest } from './types.ts'

export type { ChaosEffect, ChaosEnd, ChaosError, ChaosFault, ChaosFaultKind, ChaosOptions } from './types.ts'
export type { ChaosReport, ChaosScenario, ChaosTest, ChaosWorld } from './types.ts'

/** How long a run without faults may take, in milliseconds of virtual time. */
const UNDISTURBED_LIMIT = 10 * 365 * 86_400_000
const SIX_HOURS = 6 * 3_600_000

/**
 * Runs a scenario many times, each time with other faults: processes that crash around a write, jobs that are delivered twice or late, a
 * store that is unavailable or slow, and wrong clocks. The processes share a store in memory and run in virtual time, so a run takes some
 * milliseconds and repeats exactly. Throws if a run does not end, ends otherwise than expected, or breaks its `check`. The error has the
 * smallest schedule of faults that was found, printed as a test.
 *
 * @throws ChaosError
 * @example
 * await chaos((world) => ({
 *   workers: { order: (job, ctx) => ctx.step.run('charge', () => world.effect('charge', job.data, { key: ctx.job.id })) },
 *   start: (kernel) => kernel.enqueue('order', 7, { attempts: 5 }),
 *   check: ({ effects }) => assert.equal(effects.length, 1),
 * }), { seed: 1, runs: 500 })
 */
export async function chaos(test: ChaosTest, options: ChaosOptions = {}): Promise<ChaosReport> {
  checkChaosOptions(test, options)
  const { seed = 1, runs = 100, faults: kinds = FAULT_KINDS, maxFaults = 5, processes = 2 } = options
  const limit = toMilliseconds(options.limit ?? SIX_HOURS)
  const fingerprints: string[] = []
  let faults = 0

  const play = (schedule: readonly ChaosFault[], most: number): Promise<ScenarioResult> =>
    runOnce(test, { schedule, processes, limit: most })

  const undisturbed = await play([], UNDISTURBED_LIMIT)
  const most = undisturbed.duration + limit
  /** The options that the failed run needs besides its schedule. */
  const needed = {
    ...(processes !== 2 && { processes }),
    ...(options.limit !== undefined && { limit: options.limit }),
  }
  if (undisturbed.failure) throw describeFailure(undisturbed, 'The run without faults', [], undefined)
  if (options.schedule) {
    const result = await play(options.schedule, most)
    if (result.failure) throw describeFailure(result, 'The run of this schedule', options.schedule, undefined)
    assertReached(options.schedule, result)
    return { runs: 1, faults: result.fired.size, points: [...result.passages.keys()], fingerprint: result.fingerprint }
  }

  const random = seeded(seed)
  const points = new Map(undisturbed.passages)
  for (let run = 1; run <= runs; run++) {
    const schedule = generateSchedule({ random, kinds, maxFaults, processes, points })
    const result = await play(schedule, most)
    if (result.failure) throw await shrunk(result, schedule, run)
    // Faults lead to points that are not reached without them, such as retries.
    for (const [point, count] of result.passages) if (!points.has(point)) points.set(point, count)
    faults += result.fired.size
    fingerprints.push(result.fingerprint)
  }
  return { runs, faults, points: [...points.keys()], fingerprint: hashOf(fingerprints) }

  async function shrunk(failed: ScenarioResult, schedule: readonly ChaosFault[], run: number): Promise<ChaosError> {
    let last = failed
    const smallest = await shrinkSchedule(schedule, async (candidate) => {
      const result = await play(candidate, most)
      const isSame = result.failure?.kind === failed.failure!.kind
      if (isSame) last = result
      return isSame
    })
    const isRepeatable = (await play(smallest.schedule, most)).fingerprint === last.fingerprint
    const found = `Run ${run} of ${runs} with seed ${seed}`
    const tries = `reduced from ${schedule.length} in ${smallest.tries} runs`
    return describeFailure(last, found, smallest.schedule, { seed, run, tries, isRepeatable })
  }

  function describeFailure(
    { failure, trace }: ScenarioResult,
    what: string,
    schedule: readonly ChaosFault[],
    found: { seed: number; run: number; tries: string; isRepeatable: boolean } | undefined,
  ): ChaosError {
    const { error, kind } = failure!
    const count = schedule.length === 1 ? '1 fault' : `${schedule.length} faults`
    const message = [
      `${what} failed (${kind}): ${error.message}`,
      found ? `This test repeats it with ${count}, ${found.tries}:` : 'This test repeats it:',
      printTest(test.name || 'test', schedule, needed).replace(/^/gm, '  '),
      ...(found?.isRepeatable === false ? [UNREPEATABLE] : []),
      `What happened:\n${printTrace(trace)}`,
    ].join('\n\n')
    const facts = { schedule, ...(found && { seed: found.seed, run: found.run }) }
    return Object.assign(new Error(message, { cause: error }), { name: 'ChaosError', ...facts })
  }
}

/** @throws ChaosError if the run reaches a point of the schedule not once, because the test would pass without its fault */
function assertReached(schedule: readonly ChaosFault[], { passages }: ScenarioResult): void {
  const points = schedule.flatMap((fault) => (fault.fault === 'skew' || passages.has(fault.at) ? [] : [fault.at]))
  if (points.length === 0) return
  const lines = points.map((point) => `- "${point}"${didYouMean(point, [...passages.keys()])}`)
  const hint = 'Correct "at", or find the fault again with a seed.'
  const message = `The run has not reached these points of the schedule, so their faults have not happened:\n${lines.join('\n')}\n${hint}`
  throw Object.assign(new Error(message), { name: 'ChaosError', schedule })
}

const UNREPEATABLE =
  'The same schedule led to something else when it was repeated. The handlers depend on real time, randomness or other systems. ' +
  'Use world.clock, and fakes that call world.effect().'
