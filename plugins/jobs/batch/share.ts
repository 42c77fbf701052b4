import { isDeferral, QueueError, type DispatchPayload, type Job, type RunContext } from '../../../kernel/index.ts'

export interface Member {
  dispatch: DispatchPayload
  /** Goes on inside the job's own scope. */
  next: () => Promise<void>
  outcome: PromiseWithResolvers<void>
}

/** Runs the handler as the first of the members, and gives each what is its own of how it went. */
export async function share(members: readonly [Member, ...Member[]]): Promise<void> {
  const [{ dispatch: leader, next }] = members
  const giveBack = lend(
    leader.ctx,
    members.map(({ dispatch }) => dispatch.job),
  )
  try {
    await next()
    const results = resultsOf(leader.result, members.length, leader.job.name)
    for (const [index, { dispatch, outcome }] of members.entries()) {
      const result = results[index]
      if (result instanceof Error) dispatch.abort(result)
      else dispatch.result = result
      outcome.resolve()
    }
  } catch (error) {
    for (const { dispatch, outcome } of members) {
      // The one that ran for all was stopped, which is no fault of the others: they run again.
      if (leader.ctx.cancelled && !dispatch.ctx.cancelled) dispatch.result = dispatch.ctx.defer({ delay: 0 })
      // As it is, where thrown from here it would seem to be this plugin's.
      else if (error instanceof Error && dispatch !== leader) dispatch.abort(error)
      else outcome.reject(error)
      outcome.resolve()
    }
  } finally {
    giveBack()
  }
}

/** Puts all jobs into the context of one, until it is over or that one's attempt is. */
function lend(ctx: RunContext, jobs: readonly Job[]): () => void {
  const open = ctx as { job: Job; batch?: readonly Job[] }
  const own = ctx.job
  open.batch = jobs
  open.job = { ...own, data: jobs.map(({ data }) => data) }
  const giveBack = (): void => void (open.job = own)
  ctx.signal.addEventListener('abort', giveBack, { once: true })
  return () => {
    ctx.signal.removeEventListener('abort', giveBack)
    giveBack()
  }
}

function resultsOf(result: unknown, size: number, name: string): readonly unknown[] {
  if (Array.isArray(result) && result.length === size) return result
  if (isDeferral(result)) return Array.from({ length: size }, () => result)
  const came = Array.isArray(result) ? `an array of ${result.length}` : typeof result
  const message = `The handler of a batch of "${name}" returns an array with one result for each of ${size} jobs; got ${came}.`
  throw new QueueError('BATCH_RESULT', message)
}
