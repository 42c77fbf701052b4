import { defineWorkerConfig, defineQueueWorker, type AwaitRegistration, type Job } from 'nuxt-queue'
import { askForApproval } from '../../lib/examples/approvals.ts'

type Order = { id: string; total: number }

// The run waits here for up to a day, until the URL is opened or the wait times out. It occupies no process meanwhile.
export const config = defineWorkerConfig({
  flow: { name: 'order', role: 'step', subscribes: 'placed', emits: ['approved', 'declined'] },
  awaitBefore: { type: 'webhook', timeout: 1500, timeoutAction: 'continue' },
})

export function onAwaitRegister({ url }: AwaitRegistration, job: Job): void {
  askForApproval(job.data as Order, url!)
}

export default defineQueueWorker(async (job, ctx) => {
  const { payload, timedOut } = ctx.awaited!
  const approved = !timedOut && (payload as { approved?: boolean }).approved === true
  const reason = timedOut ? 'nobody answered in time' : 'it was turned down'
  if (approved) await ctx.flow.emit('approved', job.data)
  else await ctx.flow.emit('declined', { ...(job.data as Order), reason })
})
