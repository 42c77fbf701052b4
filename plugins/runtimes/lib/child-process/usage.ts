import { readFileSync } from 'node:fs'
import type { EmitPayload, Kernel, RunContext } from '../../../../kernel/index.ts'
import type { Usage } from './protocol.ts'

const ATTEMPT_ENDS: ReadonlySet<string> = new Set(['step.completed', 'step.retry', 'step.failed'])

/** The process of an attempt, as the event that ends the attempt tells it. */
export interface ProcessFacts extends Partial<Usage> {
  pid: number
}

/** Puts what an attempt's process has used into the event that ends the attempt. */
export function recordUsage(kernel: Kernel, runtime: string) {
  const facts = new WeakMap<RunContext, ProcessFacts>()
  kernel.hook(
    'emit',
    ({ events, ctx }: EmitPayload, next) => {
      const process = facts.get(ctx!)
      const end = process && events.findLast(({ type, stepId }) => ATTEMPT_ENDS.has(type) && stepId === ctx!.job.id)
      if (end) end.data = { ...(end.data as object), process }
      return next()
    },
    { when: ({ ctx }) => ctx?.worker.worker.runtime === runtime && facts.has(ctx) },
  )
  return facts
}

/** What a child says that it has used, as far as that is numbers. */
export function usageOf(given: unknown): Usage | undefined {
  const { maxRss, cpu } = (given ?? {}) as Partial<Record<keyof Usage, unknown>>
  return Number.isFinite(maxRss) && Number.isFinite(cpu) ? { maxRss: maxRss as number, cpu: cpu as number } : undefined
}

/** Jiffies a second, which Linux fixes at 100 for what it shows to user space. */
const TICKS = 100

/** What Linux knows of a process that lives; elsewhere `undefined`. */
export function readUsage(pid: number): Usage | undefined {
  try {
    const [, peak] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name of the command stands in parentheses and may hold anything; what follows are numbers.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = Number(fields[11]) + Number(fields[12])
    return peak === undefined ? undefined : { maxRss: Number(peak) * 1024, cpu: (ticks / TICKS) * 1000 }
  } catch {
    return undefined
  }
}
