// `npm test` uses a substitute for opentelemetry-api. Here Python workers use the real package, if the interpreter has it.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { afterAll, describe, expect, it } from 'vitest'
import { createTestKernel } from '../../testing/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-otel-python-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const hasApi = spawnSync('python3', ['-c', 'import opentelemetry.propagate'], { stdio: 'ignore' }).status === 0
const [TRACE, SPAN] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']
const TRACEPARENT = `00-${TRACE}-${SPAN}-01`
const NONE = '0'.repeat(32)

const WORKER = `from nuxt_queue import define_worker
from opentelemetry import baggage, trace


def seen():
    context = trace.get_current_span().get_span_context()
    return [format(context.trace_id, "032x"), format(context.span_id, "016x"), baggage.get_baggage("tenant")]

`
const SYNC = `${WORKER}
@define_worker
def sync(job, ctx):
    return [seen(), ctx.step.run("inside", seen)]
`
const ASYNC = `${WORKER}
@define_worker
async def waits(job, ctx):
    async def inside():
        return seen()

    return [seen(), await ctx.step.run("inside", inside)]
`

describe.skipIf(!hasApi)('opentelemetry-api in Python workers', () => {
  it('has the context of the job in handlers and their steps, and none in the next job without one', async () => {
    for (const [name, text] of Object.entries({ sync: SYNC, waits: ASYNC }))
      writeFileSync(join(folder, `${name}.py`), text)
    const { kernel, close } = await createTestKernel()
    try {
      const process_ = { env: { PYTHONPATH: process.env.PYTHONPATH ?? '' } }
      const seen = async (worker: string, headers: Record<string, string>) =>
        kernel.result(await kernel.enqueue(worker, undefined, { headers }))
      for (const id of ['sync', 'waits']) {
        const config = { runtime: 'python', process: process_ } as const
        await kernel.registerWorker({ id, config, absPath: join(folder, `${id}.py`) })
        const inTrace = [TRACE, SPAN, 'acme']
        const headers = { traceparent: TRACEPARENT, baggage: 'tenant=acme' }
        expect(await seen(id, headers)).toEqual([inTrace, inTrace])
        const outside = [NONE, NONE.slice(16), null]
        expect(await seen(id, {})).toEqual([outside, outside])
        expect(await seen(id, { traceparent: 'no context' })).toEqual([outside, outside])
      }
    } finally {
      await close()
    }
  })
})
