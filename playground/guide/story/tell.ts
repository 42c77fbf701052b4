import { setTimeout as sleep } from 'node:timers/promises'
import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'
import { z } from 'zod'

export const config = defineWorkerConfig({ input: z.object({ about: z.string() }) })

/** Simulates a language model that responds word by word. */
async function* tokens(about: string): AsyncGenerator<string> {
  const text = `Once there was a ${about} that wanted to know what became of its jobs. It opened the log, and there they were.`
  for (const word of text.split(' ')) {
    await sleep(15)
    yield `${word} `
  }
}

// A client that follows the run sees each word at once. The log contains the whole text.
export default defineQueueWorker<typeof config>(async (job, ctx) => {
  let story = ''
  for await (const token of tokens(job.data.about)) {
    story += token
    await ctx.client.send('token', token)
  }
  await ctx.state.set('story', story.trim())
  return story.trim()
})
