import { defineWorkerConfig, type AwaitRegistration, type Job, type RunContext } from 'nuxt-queue'
import { config as unattended } from '../../../../queues/birdstrikes/report.ts'

export { default } from '../../../../queues/birdstrikes/report.ts'

/** The report of the playground. Here the run waits until the chart is approved, without occupying a process. */
export const config = defineWorkerConfig({ ...unattended, awaitBefore: { type: 'webhook' } })

/** Everyone who may watch the run may approve it here, so the address is sent to its followers. Otherwise, send a mail instead. */
export async function onAwaitRegister({ url }: AwaitRegistration, _job: Job, ctx: RunContext): Promise<void> {
  // The page comes from the same host, so the path is enough.
  await ctx.client.send('approval', { path: new URL(url!).pathname }, { store: true })
}
