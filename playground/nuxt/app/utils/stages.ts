import type { StepView } from 'nuxt-queue/vue'

/** What the flow leaves in its state: see `playground/lib/state.ts`. */
export interface Strikes {
  read: { rows: number; good: number; bad: Record<string, number> }
  years: Record<string, { strikes: number; damaging: number; cost: number }>
  files: { report: string; chart: string }
}

/** What the last step answers. */
export interface Totals {
  strikes: number
  damaging: number
  cost: number
}

export interface Stage {
  step: string
  title: string
  text: string
  /** How much of the progress it is, the sum being 1. */
  share: number
}

export const STAGES: readonly Stage[] = [
  { step: 'read', title: 'Read', text: 'Checks each row, leaves out what cannot be true', share: 0.25 },
  { step: 'year', title: 'Years', text: 'A job in Python for each, four at a time', share: 0.55 },
  { step: 'chart', title: 'Chart', text: 'Once all years are done, in a process of its own', share: 0.1 },
  { step: 'report', title: 'Report', text: 'Once somebody has approved the chart', share: 0.1 },
]

export type StageStatus = StepView['status'] | 'ahead'

/** How a stage is, from the jobs that it has so far. */
export function stageStatus(jobs: readonly StepView[]): StageStatus {
  const order = ['failed', 'cancelled', 'running', 'waiting', 'queued', 'completed'] as const
  const some = (status: StepView['status']): boolean => jobs.some((job) => job.status === status)
  if (some('queued') && some('completed') && !some('failed')) return 'running'
  return order.find(some) ?? 'ahead'
}

/** How far a run is, from 0 to 1. */
export function overall(steps: readonly StepView[]): number {
  const done = ({ step, share }: Stage): number => {
    const jobs = steps.filter(({ name }) => name === step)
    const parts = jobs.map(({ status, progress }) => (status === 'completed' ? 1 : (progress?.value ?? 0)))
    return jobs.length === 0 ? 0 : (share * parts.reduce((sum, part) => sum + part, 0)) / jobs.length
  }
  return STAGES.reduce((sum, stage) => sum + done(stage), 0)
}
