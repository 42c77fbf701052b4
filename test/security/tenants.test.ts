import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { routes } from '../../plugins/integrations/http/routes/index.ts'
import type { HttpAction } from '../../plugins/integrations/http/index.ts'
import { openSse, serve, type Rig } from '../unit/http/rig.ts'

type Tenant = 'ada' | 'bob'
const TENANTS: Tenant[] = ['ada', 'bob']
/** Stands in everything that a tenant owns, and in nothing else. */
const secretOf = (tenant: Tenant): string => `secret-of-${tenant}`

/** Lets each tenant have what is about its own runs, and the lists that are then filtered. */
function guarded() {
  const owner = new Map<string, Tenant>()
  const authorize = ({ headers }: Request, { type, runId, job }: HttpAction): boolean => {
    if (runId !== undefined) return owner.get(runId) === headers.get('x-tenant')
    return job !== undefined || !type.startsWith('instances') // by its run, once that is known
  }
  return { owner, authorize }
}

const WORKERS = {
  echo: { config: { attempts: 1 }, handler: ({ data }: { data: unknown }) => data },
  fails: {
    config: { attempts: 1 },
    handler: ({ data }: { data: unknown }) => {
      throw new Error(String(data))
    },
  },
  // A run of one tenant starts one that belongs to the other.
  order: {
    config: { flow: { name: 'order', role: 'entry' } },
    handler: async (
      { data }: { data: { other: string; id: string } },
      ctx: { flow: { start(flow: string, input: unknown, options: object): Promise<unknown> } },
    ) => {
      await ctx.flow.start('part', data.other, { id: data.id })
      return 'ordered'
    },
  },
  part: {
    config: { flow: { name: 'part', role: 'entry' } },
    handler: async (
      { data }: { data: string },
      ctx: { state: { set(key: string, value: unknown): Promise<void> } },
    ) => {
      await ctx.state.set('note', data)
      return data
    },
  },
  rung: { config: { trigger: { type: 'manual', name: 'bell' } }, handler: ({ data }: { data: unknown }) => data },
}

async function fill({ kernel, drain }: Rig, owner: Map<string, Tenant>) {
  const runs: string[] = []
  const jobs: { queue: string; id: string }[] = []
  const own = (tenant: Tenant, { queue, id, runId }: { queue: string; id: string; runId: string }): void => {
    owner.set(runId, tenant)
    runs.push(runId)
    jobs.push({ queue, id })
  }
  for (const tenant of TENANTS) {
    const other = TENANTS.find((one) => one !== tenant)!
    const secret = secretOf(tenant)
    own(tenant, await kernel.enqueue('echo', { secret }, { id: `${tenant}-echo` }))
    own(tenant, await kernel.enqueue('fails', secret))
    own(tenant, await kernel.enqueue('echo', { secret }, { delay: 60_000 }))
    own(tenant, await kernel.emitTrigger('bell', { secret }, { id: `${tenant}-bell` }))
    owner.set(`${other}-part`, other)
    runs.push(`${other}-part`)
    own(tenant, await kernel.flow('order').start({ other: secretOf(other).toUpperCase(), id: `${other}-part` }))
  }
  await drain()
  return { runs, jobs }
}

describe('two tenants', () => {
  it('see nothing of each other, whatever they ask for', async () => {
    const { owner, authorize } = guarded()
    await using rig = await serve({ production: true, authorize }, { workers: WORKERS as never })
    const { runs, jobs } = await fill(rig, owner)
    const ids = fc.record({
      route: fc.constantFrom(...routes.filter(({ stream, action }) => !stream && action !== 'waits.resolve')),
      tenant: fc.constantFrom(...TENANTS),
      runId: fc.constantFrom(...runs),
      job: fc.constantFrom(...jobs),
      query: fc.constantFrom('', 'depth=5', 'limit=1000', 'reverse=true', 'at=1', 'wait=0', 'state=failed,completed'),
      asRun: fc.boolean(),
      sameId: fc.boolean(),
    })
    const seen: string[] = []
    await fc.assert(
      fc.asyncProperty(ids, async ({ route, tenant, runId, job, query, asRun, sameId }) => {
        const values: Record<string, string> = { runId, queue: job.queue, job: job.id, flow: 'order', trigger: 'bell' }
        const path = route.path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(values[name]!))
        const search = asRun && route.id === 'explainJob' ? `runId=${encodeURIComponent(runId)}` : query
        const other = TENANTS.find((one) => one !== tenant)!
        const taken = { worker: 'echo', data: 1, options: { id: `${other}-echo` } }
        const body =
          route.id === 'enqueueJob' && sameId ? taken : route.id === 'fireTrigger' ? { id: `${other}-bell` } : {}
        const headers = { 'x-tenant': tenant, 'content-type': 'application/json' }
        const answer = await rig.raw(`/_queue/api/${path}${route.method === 'GET' && search ? `?${search}` : ''}`, {
          ...{ method: route.method, headers },
          ...(route.method === 'POST' && { body: JSON.stringify(body) }),
        })
        const text = JSON.stringify(answer.body)
        if (answer.status < 300) seen.push(route.id)
        expect({ path, status: answer.status, text }).not.toMatchObject({
          text: expect.stringContaining(secretOf(other)) as string,
        })
      }),
      { numRuns: 400 },
    )
    expect(new Set(seen).size).toBeGreaterThan(10)
  })

  it('see their own in the stream of all runs, and nothing else', async () => {
    const { owner, authorize } = guarded()
    await using rig = await serve({ production: true, authorize }, { workers: WORKERS as never })
    await using stream = await openSse(`${rig.api}stream`, { headers: { 'x-tenant': 'ada' } })
    await fill(rig, owner)
    const ends = (frames: readonly { data: unknown }[]): number =>
      frames.filter(({ data }) => (data as { type?: string }).type === 'flow.completed').length
    const frames = await stream.until((all) => ends(all) >= 2)
    const text = JSON.stringify(frames)
    expect(text).toContain(secretOf('ada'))
    expect(text).not.toContain(secretOf('bob'))
  })
})
