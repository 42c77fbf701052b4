import {
  definePlugin,
  redactText,
  toError,
  type Diagnosis,
  type Kernel,
  type MaybePromise,
} from '../../../kernel/index.ts'
import { withinTime } from '../../lib/within-time.ts'
import { checkHealth } from '../lib/health.ts'
import { checkDeploy, type DeployCheckOptions } from './deploy.ts'
import { checkFlows } from './flows.ts'
import { checkInstances } from './instances.ts'
import { checkQueues } from './queues.ts'
import { checkStreams, type OwnStreams } from './streams.ts'

export type { DeployCheckOptions } from './deploy.ts'
export type { OwnStreams } from './streams.ts'

/** Checks one part of the system. */
export type DiagnosisCheck = () => MaybePromise<Diagnosis[]>

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Checks the store and its settings, versions, clocks, queues, workers, flows and streams, and returns the findings of each check. A
     * check that fails or takes more than five seconds is a problem, so this never rejects.
     *
     * @example
     * for (const { level, message, hint } of await kernel.diagnose()) if (level !== 'ok') console.log(message, hint)
     */
    diagnose(): Promise<Diagnosis[]>
    /**
     * Finds open runs, waits and jobs in the store that the workers of this process cannot carry on: without a worker, step or flow, or
     * with data or state that a schema refuses. Changes nothing. Call it with the new version of an application before a deploy.
     *
     * @throws QueueError `OPTION_INVALID`
     * @example
     * const problems = (await kernel.checkDeploy()).filter(({ level }) => level === 'problem')
     */
    checkDeploy(options?: DeployCheckOptions): Promise<Diagnosis[]>
  }
  interface PluginKernel {
    /** Adds a check to `diagnose`. Adapters implement the method `diagnose` of their port instead. Absent without the plugin `doctor`. */
    addDiagnosis?(name: string, check: DiagnosisCheck): void
    /** Names streams of this plugin, so that `diagnose` finds out if they grow. Absent without the plugin `doctor`. */
    declareStreams?(streams: OwnStreams): void
  }
}

/** How long a check may take, in milliseconds. */
const CHECK_TIMEOUT = 5000

/** Finds existing and likely problems of the system, and says what to do about them. */
export default definePlugin({
  name: 'doctor',
  // First, so that all other plugins can add checks and streams. What it looks at is there by the time of a diagnosis.
  enforce: 'pre',
  setup(kernel) {
    /** An application may omit plugins whose data this plugin checks. */
    const there: Partial<Kernel> = kernel
    const streams: OwnStreams[] = []
    const checks = new Map<string, DiagnosisCheck>([
      ['queue', () => kernel.port('queue').diagnose?.() ?? []],
      ['events', () => kernel.port('events').diagnose?.() ?? []],
      ['instances', () => (there.instances ? checkInstances(kernel) : [])],
      ['queues', () => checkQueues(kernel)],
      ['flows', () => (there.flow ? checkFlows(kernel) : [])],
      ['streams', () => checkStreams(kernel, streams)],
    ])

    async function run([name, check]: [string, DiagnosisCheck]): Promise<Diagnosis[]> {
      try {
        const late = (): Error => new Error(`It took more than ${CHECK_TIMEOUT} ms`)
        return await withinTime(kernel.clock, CHECK_TIMEOUT, (async () => check())(), late)
      } catch (error) {
        const message = `The check "${name}" failed: ${redactText(toError(error).message)}`
        return [
          { check: name, level: 'problem', message, hint: 'Check whether the store is available and not overloaded.' },
        ]
      }
    }

    /** If a store is unavailable, every other check would only repeat that. */
    async function stores(): Promise<Diagnosis[]> {
      const { checks: found } = await checkHealth(kernel)
      return Object.entries(found).map(([name, { ok, ms, message = '' }]): Diagnosis => {
        if (name === 'handlers') {
          if (ok && message === '') return { check: 'handlers', level: 'ok', message: 'No handler is stuck.' }
          const hint = 'Find out what they wait for, give them a timeout, and restart the process.'
          return { check: 'handlers', level: ok ? 'warning' : 'problem', message, hint }
        }
        if (ok)
          return { check: `store.${name}`, level: 'ok', message: `The store of the ${name} responded in ${ms} ms.` }
        const hint = 'Start the store, or correct its address in the configuration.'
        return { check: `store.${name}`, level: 'problem', message, hint }
      })
    }

    kernel.extend({
      checkDeploy: (options) => checkDeploy(kernel, options),
      async diagnose() {
        const first = await stores()
        if (first.some(({ check, level }) => check.startsWith('store.') && level === 'problem')) return first
        const rest = await Promise.all([...checks].map(run))
        return [...first, ...rest.flat()]
      },
    })
    kernel.share({
      addDiagnosis: (name, check) => void checks.set(name, check),
      declareStreams: (some) => void streams.push(some),
    })
  },
})
