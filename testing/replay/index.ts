import { glob } from 'node:fs/promises'
import { checkKeys, type AnyPlugin, type KernelConfig, type RunInfo } from '../../kernel/index.ts'
import { checkTimeout } from '../../plugins/lib/check-options.ts'
import { readHistory } from '../../plugins/observability/lib/history.ts'
import type { TestWorker } from '../test-kernel.ts'
import type { Difference } from './follow.ts'
import { recordedJobs, type RecordedJob } from './recorded.ts'
import { replayJob } from './replay-job.ts'

export interface ReplayOptions {
  plugins?: readonly AnyPlugin[]
  config?: KernelConfig
  /** Returns the data of a job that is not a step of a flow. The log of a run does not contain it. Default: `undefined`. */
  data?: (run: RunInfo) => unknown
  /** Whether handlers must return the recorded results. Default true. */
  compareResults?: boolean
  /** How long a handler may take, in milliseconds of real time. Default 10,000. */
  timeout?: number
}

/** Where a job of a recorded run and today's code differ. */
export interface ReplayDifference extends Difference {
  file: string
  runId: string
  jobId: string
  /** The step of the flow, or the name of the job. */
  step: string
}

/** What `expectReplay` has compared. */
export interface ReplayReport {
  runs: number
  jobs: number
}

export interface ReplayError extends Error {
  readonly differences: readonly ReplayDifference[]
}

const OPTIONS = ['plugins', 'config', 'data', 'compareResults', 'timeout']
/** How many differences the message of an error shows. */
const SHOWN = 20

/**
 * Runs recorded runs against today's workers. Sub-steps, waits, child runs and states come from the log, so their functions do not
 * run. Code outside of `ctx.step.run` runs. Write the files with `nuxt-queue export` or `kernel.exportRun()`.
 *
 * @param files a glob pattern, or several
 * @throws ReplayError that lists where they differ: the position in the log, what the log has, and what the handler did
 * @throws Error if no file matches
 * @throws QueueError `OPTION_INVALID`
 * @example
 * await expectReplay({ order: { config, handler: order } }, 'histories/*.jsonl')
 */
export async function expectReplay(
  workers: Readonly<Record<string, TestWorker>>,
  files: string | readonly string[],
  options: ReplayOptions = {},
): Promise<ReplayReport> {
  checkKeys('expectReplay()', options, OPTIONS)
  const { plugins = [], config, data, compareResults = true, timeout = 10_000 } = options
  checkTimeout('Option "timeout" of expectReplay()', timeout)
  const differences: ReplayDifference[] = []
  const report = { runs: 0, jobs: 0 }
  for (const file of await findFiles(files)) {
    const { run, events } = await readHistory(file)
    report.runs++
    for (const job of recordedJobs(events)) {
      if (job.queue.startsWith('_')) continue
      report.jobs++
      const given = job.flow === undefined ? data?.(run) : undefined
      const all = { run, events, job, workers, plugins, config, data: given, compareResults, timeout }
      const found = await replayJob(all)
      if (found) differences.push({ file, runId: run.runId, jobId: job.id, step: stepOf(job), ...found })
    }
  }
  if (differences.length > 0) throw differencesError(differences, report)
  return report
}

async function findFiles(patterns: string | readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const pattern of [patterns].flat()) for await (const file of glob(pattern)) found.push(file)
  if (found.length > 0) return found.toSorted()
  const hint = 'Write histories with "nuxt-queue export <run> --out <file>".'
  throw new Error(`No history matches ${[patterns].flat().join(', ')}. ${hint}`)
}

const stepOf = ({ step, flow }: RecordedJob): string => (flow === undefined ? step : `${flow}.${step}`)

function differencesError(differences: readonly ReplayDifference[], { jobs, runs }: ReplayReport): ReplayError {
  const lines = differences
    .slice(0, SHOWN)
    .map(
      ({ file, step, jobId, seq, expected, got }) =>
        `  ${file}, seq ${seq}, "${step}" (${jobId}): expected ${expected}, got ${got}.`,
    )
  const more = differences.length > SHOWN ? [`  … and ${differences.length - SHOWN} more`] : []
  const what = `${differences.length} of ${jobs} jobs of ${runs} recorded runs do not match today's code:`
  const error = new Error([what, ...lines, ...more].join('\n'))
  return Object.assign(error, { name: 'ReplayError', differences })
}
