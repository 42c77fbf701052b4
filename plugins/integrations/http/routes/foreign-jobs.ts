import type { Kernel } from '../../../../kernel/index.ts'
import type { HttpAction } from '../access.ts'

type Explanation = Awaited<ReturnType<Kernel['explain']>>
type Reason = Explanation['reasons'][number]

/** The maximum number of jobs of a reason that are authorized, each with a look-up. Further jobs are omitted. */
const MAX_AUTHORIZED = 100

/** Removes the ids of jobs that the request may not read from an explanation, because they may belong to other tenants. */
export async function withoutForeignJobs(
  kernel: Kernel,
  explanation: Explanation,
  mayRead: (action: HttpAction) => Promise<boolean>,
): Promise<Explanation> {
  const { queue } = explanation
  if (queue === undefined) return explanation

  async function isShown(id: string): Promise<boolean> {
    const found = await kernel.port('queue').getJob(queue!, id)
    return found !== undefined && mayRead({ type: 'jobs.read', queue: queue!, job: id, runId: found.runId })
  }

  async function filtered(reason: Reason): Promise<Reason> {
    const name = reason.code === 'concurrency-key' ? 'running' : reason.code === 'stuck-handlers' ? 'jobs' : undefined
    if (name === undefined) return reason
    const ids = (reason as Reason & Record<typeof name, string[]>)[name]
    const shown: string[] = []
    for (const id of ids.slice(0, MAX_AUTHORIZED)) if (await isShown(id)) shown.push(id)
    const hidden = ids.filter((id) => !shown.includes(id))
    const sentence = hidden.reduce((text, id) => text.replace(id, 'another job'), reason.sentence)
    return { ...reason, [name]: shown, sentence }
  }

  return { ...explanation, reasons: await Promise.all(explanation.reasons.map(filtered)) }
}
