import { defineQueueConfig, type AwaitRegistration, type Job, type RunContext } from 'nuxt-queue'
import { config as unattended } from '../../../../queues/birdstrikes/report.ts'

export { default } from '../../../../queues/birdstrikes/report.ts'

/** The report of the playground; here the run waits, in no process, until somebody approves the chart. */
export const config = defineQueueConfig({ ...unattended, awaitBefore: { type: 'webhook' } })

/** Everybody who may watch the run may approve it here, so the address becomes part of it. Where that is not so, send a mail instead. */
export async function onAwaitRegister({ url }: AwaitRegistration, _job: Job, ctx: RunContext): Promise<void> {
  // The path is enough on the page, which comes from the same host.
  await ctx.client.send('approval', { path: new URL(url!).pathname }, { store: true })
}
