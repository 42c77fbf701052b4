import { readFileSync } from 'node:fs'
import type { EmitPayload, Kernel, RunContext } from '../../../../kernel/index.ts'
import type { Usage } from './protocol.ts'

const ATTEMPT_ENDS: ReadonlySet<string> = new Set(['step.completed', 'step.retry', 'step.failed'])

/** The process of an attempt. The event that ends the attempt contains it. */
export interface ProcessFacts extends Partial<Usage> {
  pid: number
}

/** Adds the resource usage of a process to the event that ends an attempt. Returns the map to fill per context. */
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

/** Returns the usage that a child reported, or `undefined` if it is not made of numbers. */
export function usageOf(given: unknown): Usage | undefined {
  const { maxRss, cpu } = (given ?? {}) as Partial<Record<keyof Usage, unknown>>
  return Number.isFinite(maxRss) && Number.isFinite(cpu) ? { maxRss: maxRss as number, cpu: cpu as number } : undefined
}

/** Clock ticks per second. Linux always reports 100 to user space. */
const TICKS = 100

/** Returns the usage of a running process on Linux, and `undefined` on other systems. */
export function readUsage(pid: number): Usage | undefined {
  try {
    const [, peak] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command name is in parentheses and may contain any character. The fields after it are numbers.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = Number(fields[11]) + Number(fields[12])
    return peak === undefined ? undefined : { maxRss: Number(peak) * 1024, cpu: (ticks / TICKS) * 1000 }
  } catch {
    return undefined
  }
}
