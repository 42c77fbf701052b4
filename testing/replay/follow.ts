import { isDeepStrictEqual } from 'node:util'
import type { EmitPayload, EventDraft, RunContext } from '../../kernel/index.ts'
import type { RecordedJob } from './recorded.ts'

/** Where today's code does something else than the log says. */
export interface Difference {
  /** `seq` of the event that the log has there. */
  seq: number
  expected: string
  got: string
}

interface FollowOptions {
  job: RecordedJob
  compareResults: boolean
}

const never = (): Promise<never> => new Promise(() => {})

/** Compares what a handler does with what the log says. */
export function createReplayFollower(
  { job, compareResults }: FollowOptions,
  finish: (difference: Difference | undefined) => void,
) {
  const requested = new Set<string>()
  const times = new Map<string, number>()
  const { end: recordedEnd } = job
  const endSeq = recordedEnd?.seq ?? job.steps.at(-1)?.seq ?? 0
  const remaining = () => job.steps.filter(({ name }) => !requested.has(name))

  function difference(got: string): Difference {
    const [next] = remaining()
    if (next) return { seq: next.seq, expected: `sub-step "${next.name}"`, got }
    return { seq: endSeq, expected: recordedEnd ? describeEnd(recordedEnd) : 'the end of the log', got }
  }

  /** The handler asks for something that the log does not have. */
  function part(got: string): Promise<never> {
    const isBeyond = recordedEnd === undefined && remaining().length === 0
    finish(isBeyond ? undefined : difference(got))
    return never()
  }

  /** Numbers repeated names as `ctx.step` does. */
  function request(given: string): string {
    const time = (times.get(given) ?? 0) + 1
    times.set(given, time)
    const name = time === 1 && !/#\d+$/.test(given) ? given : `${given}#${time}`
    requested.add(name)
    return name
  }

  function compareEnd(events: readonly EventDraft[], last: EventDraft): Difference | undefined {
    if (recordedEnd === undefined) return remaining().length > 0 ? difference(describeEnd(last)) : undefined
    if (remaining().length > 0) return difference(describeEnd(last))
    const hasFailed = last.type !== 'step.completed'
    if (hasFailed !== (recordedEnd.type === 'step.failed')) return difference(describeEnd(last))
    if (hasFailed) return undefined
    const emits = events.filter(({ type }) => type === 'emit').map(({ data }) => (data as { event: string }).event)
    const index = Array.from({ length: Math.max(emits.length, job.emits.length) }, (_, at) => at).find(
      (at) => emits[at] !== job.emits[at]?.event,
    )
    if (index !== undefined) {
      const nameOf = (event: string | undefined): string => (event === undefined ? 'the end' : `event "${event}"`)
      const recorded = job.emits[index]
      return { seq: recorded?.seq ?? endSeq, expected: nameOf(recorded?.event), got: nameOf(emits[index]) }
    }
    const [was, is] = [recordedEnd, last].map(({ data }) => (data as { result?: unknown } | undefined)?.result)
    return compareResults && !isDeepStrictEqual(was, is) ? difference(describeEnd(last)) : undefined
  }

  /** Refuses the end, so that the runner stops the job. */
  function end(payload: EmitPayload, found: Difference | undefined): void {
    payload.result = { ok: false, reason: 'fence', head: 0 }
    finish(found)
  }

  return {
    endSeq,
    difference,
    /** Lets `ctx.step` answer from the log, and stops where the log has no answer. */
    watch(ctx: RunContext): void {
      const { step } = ctx
      const { run, sleep, waitForEvent } = step
      Object.assign(step, {
        run: (given: string, _fn: unknown, options?: object) => {
          const name = request(given)
          return run(given, () => part(`sub-step "${name}"`), { ...options, attempts: 1, timeout: undefined })
        },
        sleep: (given: string, until: number | Date) => {
          request(given)
          return sleep(given, until)
        },
        waitForEvent: (given: string, wait: never) => {
          request(given)
          return waitForEvent(given, wait)
        },
      })
    },
    async emit(payload: EmitPayload, next: () => unknown): Promise<void> {
      const { events } = payload
      const last = events.at(-1)!
      const { name, flow } = (last.data ?? {}) as { name?: string; flow?: string }
      switch (last.type) {
        case 'step.awaiting':
          requested.delete(name!)
          return part(`wait "${name}"`)
        case 'flow.child':
          return part(`a start of flow "${flow}"`)
        case 'step.completed':
        case 'step.failed':
        case 'step.retry':
          return end(payload, compareEnd(events, last))
        case 'step.deferred':
          // A wait that is not over in the log of an open run, or a deferral by the handler.
          return end(payload, recordedEnd && difference('a wait that is not over'))
        default:
          await next()
      }
    },
  }
}

function describeEnd({ type, data }: EventDraft): string {
  const { result, error } = (data ?? {}) as { result?: unknown; error?: { message?: string } }
  if (type === 'step.completed') return `the end with the result ${JSON.stringify(result) ?? 'undefined'}`
  return `the failure "${error?.message ?? ''}"`
}
