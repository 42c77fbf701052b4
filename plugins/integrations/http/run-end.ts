import type { Kernel, RunInfo, RunOutcome, SerializedError, StoredEvent } from '../../../kernel/index.ts'

const OUTCOMES = ['completed', 'failed', 'cancelled'] as const

/** How a run ended. */
export interface RunConclusion {
  status: RunOutcome
  result?: unknown
  error?: SerializedError
  reason?: string
}

/** Returns whether a run may have ended with an event. Only then is the run read. */
export function mayEnd({ type, flow }: StoredEvent): boolean {
  const [what, outcome] = type.split('.', 2)
  return what === (flow === undefined ? 'step' : 'flow') && OUTCOMES.some((one) => one === outcome)
}

/**
 * Waits for the end of a run, even if the run has not begun. Returns the end, or `undefined` if the time is up.
 *
 * @param wait milliseconds
 * @param signal stops the wait when the client disconnects
 */
export async function waitForEnd(
  kernel: Kernel,
  runId: string,
  wait: number,
  signal: AbortSignal,
): Promise<RunConclusion | undefined> {
  const { runs } = kernel.port('events')
  const now = await runs.get(runId)
  if (now && now.status !== 'running') return endOf(kernel, now)
  if (wait === 0 || signal.aborted) return undefined
  const over = Promise.withResolvers<RunInfo | undefined>()
  const look = async (): Promise<void> => {
    const run = await runs.get(runId)
    if (run && run.status !== 'running') over.resolve(run)
  }
  const leave = await kernel.streams.follow(
    runId,
    { after: now?.head ?? 0 },
    {
      onEvents: async (events) => {
        if (events.some(mayEnd)) await look().catch(over.reject)
      },
      onError: over.reject,
    },
  )
  const stop = kernel.clock.setTimeout(() => over.resolve(undefined), wait)
  const abort = (): void => over.resolve(undefined)
  signal.addEventListener('abort', abort)
  try {
    const run = await over.promise
    return run && (await endOf(kernel, run))
  } finally {
    leave()
    stop()
    signal.removeEventListener('abort', abort)
  }
}

async function endOf(kernel: Kernel, { runId, status, flow }: RunInfo): Promise<RunConclusion> {
  const what = flow === undefined ? 'step' : 'flow'
  const types = OUTCOMES.map((outcome) => `${what}.${outcome}`)
  const [event] = await kernel.port('events').read(runId, { types, reverse: true, limit: 1 })
  const { result, error, reason } = (event?.data ?? {}) as Omit<RunConclusion, 'status'>
  const outcome = { result, error, reason }
  return {
    status: status as RunOutcome,
    ...Object.fromEntries(Object.entries(outcome).filter(([, value]) => value !== undefined)),
  }
}
