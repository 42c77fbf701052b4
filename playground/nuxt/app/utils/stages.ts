import type { StepView } from 'nuxt-queue/vue'

/** The state of the flow. See `playground/lib/state.ts`. */
export interface Strikes {
  read: { rows: number; good: number; bad: Record<string, number> }
  years: Record<string, { strikes: number; damaging: number; cost: number }>
  files: { report: string; chart: string }
}

/** The result of the last step. */
export interface Totals {
  strikes: number
  damaging: number
  cost: number
}

export interface Stage {
  step: string
  title: string
  text: string
  /** The share of the stage in the progress. The sum of all shares is 1. */
  share: number
}

export const STAGES: readonly Stage[] = [
  { step: 'read', title: 'Read', text: 'Checks each row and rejects implausible ones', share: 0.25 },
  { step: 'year', title: 'Years', text: 'A job in Python for each, four at a time', share: 0.55 },
  { step: 'chart', title: 'Chart', text: 'Once all years are done, in a separate process', share: 0.1 },
  { step: 'report', title: 'Report', text: 'Once the chart has been approved', share: 0.1 },
]

export type StageStatus = StepView['status'] | 'ahead'

/** Returns the status of a stage from the jobs that it has so far. */
export function stageStatus(jobs: readonly StepView[]): StageStatus {
  const order = ['failed', 'cancelled', 'running', 'waiting', 'queued', 'completed'] as const
  const some = (status: StepView['status']): boolean => jobs.some((job) => job.status === status)
  if (some('queued') && some('completed') && !some('failed')) return 'running'
  return order.find(some) ?? 'ahead'
}

/** Returns the progress of a run, from 0 to 1. */
export function overall(steps: readonly StepView[]): number {
  const done = ({ step, share }: Stage): number => {
    const jobs = steps.filter(({ name }) => name === step)
    const parts = jobs.map(({ status, progress }) => (status === 'completed' ? 1 : (progress?.value ?? 0)))
    return jobs.length === 0 ? 0 : (share * parts.reduce((sum, part) => sum + part, 0)) / jobs.length
  }
  return STAGES.reduce((sum, stage) => sum + done(stage), 0)
}
