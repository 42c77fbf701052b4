/** A page, a route that runs any worker, and a worker in each of the languages. All functions are imported automatically. */
export const FILES = {
  'app/app.vue': `<template><h1>An app</h1></template>\n`,
  'lib/greeting.ts': `export const greeting = (name: string): string => \`hello \${name}\`\n`,
  'server/queues/hello.ts': `import { z } from 'zod'
import { greeting } from '../../lib/greeting'

export const config = defineQueueConfig({ input: z.object({ name: z.string() }), output: z.string(), concurrency: 5 })
export default defineQueueWorker<typeof config>(async (job, ctx) => {
  await ctx.state.set('greeted', job.data.name)
  return greeting(job.data.name)
})
`,
  'server/queues/apart/isolated.ts': `import { greeting } from '../../../lib/greeting'

export const config = defineQueueConfig({ runtime: 'node-isolated' })
const pid = await Promise.resolve(process.pid)
export default defineQueueWorker(async () => ({ said: greeting(useRuntimeConfig().public.who as string), pid }))
`,
  'server/queues/snake.py': `from _helper import shout
from nuxt_queue import Job, RunContext, define_config, define_worker

config = define_config(queue="snake")

@define_worker
def snake(job: Job, ctx: RunContext) -> str:
    return shout(job.data["name"])
`,
  'server/queues/_helper.py': `def shout(name: str) -> str:
    return f"HELLO {name.upper()}"
`,
  'server/api/run.post.ts': `export default defineEventHandler(async (event) => {
  const { worker, data } = await readBody<{ worker: 'hello'; data: { name: string } }>(event)
  const queue = useQueue()
  const job = await queue.enqueue(worker, data)
  return { job, result: await queue.result(job, { timeout: 60_000 }), pid: process.pid }
})
`,
  'server/api/typed.get.ts': `export default defineEventHandler(async () => {
  const queue = useQueue()
  const job = await queue.enqueue('hello', { name: 'Ada' }, { delay: 5 })
  const text: string = await queue.result(job)
  // @ts-expect-error it is a string
  const count: number = await queue.result(job)
  // @ts-expect-error it takes a name
  await queue.enqueue('hello', { nom: 'Ada' })
  // @ts-expect-error there is no such worker
  await queue.enqueue('helo', { name: 'Ada' })
  // @ts-expect-error it needs data
  await queue.enqueue('hello')
  await queue.enqueue('snake', { any: 'thing' })
  await queue.enqueue({ queue: 'elsewhere', name: 'other' })
  return [text, count]
})
`,
  'server/api/run.get.ts': `export default defineEventHandler(async (event) => {
  const run = await useQueue().port('events').runs.get(String(getQuery(event).id))
  return run ?? { status: 'unknown' }
})
`,
  'server/api/state.get.ts': `export default defineEventHandler((event) => useQueue().state(String(getQuery(event).id)))
`,
} satisfies Record<string, string>
