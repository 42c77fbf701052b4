import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { defineQueueConfig, defineQueueWorker, type Job, type Kernel, type Redriven } from '../../index.ts'

describe('the entry point', () => {
  it('has the types of what the README of each plugin shows', () => {
    const config = defineQueueConfig({ batch: { size: 100, wait: 500 }, input: z.string(), attempts: 3 })
    defineQueueWorker<typeof config>((_job, ctx) => {
      expectTypeOf(ctx.batch).toEqualTypeOf<readonly Job<string>[]>()
      return ctx.batch.map(() => null)
    })
    expectTypeOf<Kernel['redrive']>().returns.resolves.toEqualTypeOf<Redriven[]>()
    defineQueueConfig({ isolated: { execArgv: [] }, exec: { command: 'cat' }, process: { reuse: 2 } })
  })
})
