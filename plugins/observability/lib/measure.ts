import type { EmitPayload, PluginKernel } from '../../../kernel/index.ts'
import { SCHEDULE_QUEUE } from '../../flow/lib/schedule-tick.ts'
import type { IsShown } from './store-counts.ts'

/** A run that has ended. */
export interface EndedRun {
  /** The name of its flow. A run of a single job has none. */
  flow: string | undefined
  status: string
  /** Milliseconds from its start to its end. */
  duration: number
}

/** The events that end a run, if the same append changes its status. */
const ENDS = /^(?:step|flow)\.(?:completed|failed|cancelled)$/

/** Calls back with each run whose end this process stores. */
export function watchRuns(kernel: PluginKernel, isShown: IsShown, ended: (run: EndedRun) => void): void {
  async function end({ stream, ctx, options, result, events }: EmitPayload): Promise<void> {
    if (!result?.ok) return
    const { type, flow } = events.at(-1)!
    const isFlow = type.startsWith('flow.')
    if (!isFlow && !isShown(options.run?.queue ?? ctx?.job.queue ?? '_')) return
    const status = options.run!.status!
    // The first attempt has started the run of its job. Other runs were started elsewhere.
    if (!isFlow && ctx?.claim === 1)
      return ended({ flow: undefined, status, duration: kernel.clock.now() - ctx.startedAt })
    const run = await kernel.port('events').runs.get(stream)
    if (run?.endedAt !== undefined)
      ended({ flow: isFlow ? (flow ?? run.flow) : undefined, status, duration: run.endedAt - run.startedAt })
  }

  kernel.hook('emit', end, {
    after: true,
    when: ({ options: { run }, events }) =>
      run?.status !== undefined && run.status !== 'running' && ENDS.test(events.at(-1)?.type ?? ''),
  })
}

/** Calls back with the delay of each tick of a schedule in this process, in milliseconds. */
export function watchScheduleLag(kernel: PluginKernel, late: (ms: number) => void): void {
  kernel.hook(
    'emit',
    ({ ctx, result }) => {
      // An event whose key is known is not stored again.
      if (result?.ok && result.events.length > 0) late(Math.max(0, ctx!.startedAt - ctx!.dueAt))
    },
    {
      after: true,
      when: ({ ctx, events }) => ctx?.job.queue === SCHEDULE_QUEUE && events.at(-1)?.type === 'step.started',
    },
  )
}

/** Calls back with the duration of each append of events, in milliseconds. */
export function watchAppends(kernel: PluginKernel, stored: (ms: number) => void): void {
  kernel.hook('emit', (_payload, next) => {
    const began = performance.now()
    const leave = (): void => stored(performance.now() - began)
    const storing = next()
    if (!storing) return leave()
    storing.then(leave, () => {})
    // Returning the same promise saves further promises for each append.
    return storing
  })
}
