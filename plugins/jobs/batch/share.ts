import { isDeferral, QueueError, type DispatchPayload, type Job, type RunContext } from '../../../kernel/index.ts'

export interface BatchMember {
  dispatch: DispatchPayload
  /** Continues the dispatch in the async context of the job. */
  next: () => Promise<void>
  outcome: PromiseWithResolvers<void>
}

/** Runs the handler in the context of the first member, and distributes the results to all members. */
export async function share(members: readonly [BatchMember, ...BatchMember[]]): Promise<void> {
  const [{ dispatch: leader, next }] = members
  const restore = borrowContext(
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
      // Only the first job was cancelled, so the others run again.
      if (leader.ctx.cancelled && !dispatch.ctx.cancelled) dispatch.result = dispatch.ctx.defer({ delay: 0 })
      // Fails the job with the unchanged error. An error that is thrown here would be attributed to this plugin.
      else if (error instanceof Error && dispatch !== leader) dispatch.abort(error)
      else outcome.reject(error)
      outcome.resolve()
    }
  } finally {
    restore()
  }
}

/** Puts all jobs into the context of one job, until the handler returns or the attempt of that job is aborted. */
function borrowContext(ctx: RunContext, jobs: readonly Job[]): () => void {
  const open = ctx as { job: Job; batch?: readonly Job[] }
  const own = ctx.job
  open.batch = jobs
  open.job = { ...own, data: jobs.map(({ data }) => data) }
  const restore = (): void => void (open.job = own)
  ctx.signal.addEventListener('abort', restore, { once: true })
  return () => {
    ctx.signal.removeEventListener('abort', restore)
    restore()
  }
}

function resultsOf(result: unknown, size: number, name: string): readonly unknown[] {
  if (Array.isArray(result) && result.length === size) return result
  if (isDeferral(result)) return Array.from({ length: size }, () => result)
  const came = Array.isArray(result) ? `an array of ${result.length}` : typeof result
  const message = `The batch handler of "${name}" must return an array with one result for each of ${size} jobs; got ${came}.`
  throw new QueueError('BATCH_RESULT', message)
}
