import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { describe, expect, it, vi } from 'vitest'
import { routes } from '../../plugins/integrations/http/routes/index.ts'
import mcp from '../../plugins/integrations/mcp/index.ts'
import type { HttpAction } from '../../plugins/integrations/http/index.ts'
import type { Route } from '../../plugins/integrations/http/routes/route.ts'
import { openSse, serve, type Rig } from '../unit/http/rig.ts'

type Tenant = 'ada' | 'bob'
const TENANTS: Tenant[] = ['ada', 'bob']

interface OwnJob {
  queue: string
  id: string
  runId: string
}

/** A text that all data of a tenant contains, and no other data. */
const secretOf = (tenant: Tenant): string => `secret-of-${tenant}`

/** Actions that affect all tenants at once. An application allows them only to its operators. */
const OF_OPERATORS: readonly HttpAction['type'][] = [
  'instances.read',
  'counts.read',
  ...(['bulk.read', 'bulk.read', 'bulk.start', 'bulk.abort'] as const),
]
/** Protected by the tokens of `ask`, which other tenants do not have. */
const BY_SECRET: readonly HttpAction['type'][] = ['waits.resolve']

/** Allows each tenant its own runs, and lists, which are filtered afterwards. */
function guarded() {
  const owner = new Map<string, Tenant>()
  const authorize = ({ headers }: Request, { type, runId, job }: HttpAction): boolean => {
    if (runId !== undefined) return owner.get(runId) === headers.get('x-tenant')
    return job !== undefined || !OF_OPERATORS.includes(type) // by its run, once that is known
  }
  return { owner, authorize }
}

const WORKERS = {
  echo: { config: { attempts: 1 }, handler: ({ data }: { data: unknown }) => data },
  fails: {
    config: { attempts: 1, deadLetter: 'dead' },
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
  // Stays open until the test ends. The names of its query, update and signal are those of the parameters in their paths.
  open: {
    config: {
      flow: { name: 'open', role: 'entry' },
      queries: { query: ({ runId }: { runId: string }) => runId },
      updates: { update: { handler: ({ runId }: { runId: string }) => runId } },
    },
    handler: (_job: unknown, ctx: { step: { waitForSignal(name: string): unknown } }) =>
      ctx.step.waitForSignal('never'),
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
  held: { config: { awaitBefore: { type: 'event', event: 'paid' } }, handler: () => 'paid' },
  rung: { config: { trigger: { type: 'manual', name: 'bell' } }, handler: ({ data }: { data: unknown }) => data },
}

async function fill({ kernel, drain }: Rig, owner: Map<string, Tenant>) {
  const jobs: OwnJob[] = []
  const own = (tenant: Tenant, { queue, id, runId }: OwnJob): void => {
    owner.set(runId, tenant)
    jobs.push({ queue, id, runId })
  }
  for (const tenant of TENANTS) {
    const other = TENANTS.find((one) => one !== tenant)!
    const secret = secretOf(tenant)
    own(tenant, await kernel.enqueue('echo', { secret }, { id: `${tenant}-echo` }))
    own(tenant, await kernel.enqueue('fails', secret))
    own(tenant, await kernel.enqueue('held', { secret }))
    own(tenant, await kernel.enqueue('echo', { secret }, { delay: 60_000 }))
    own(tenant, await kernel.emitTrigger('bell', { secret }, { id: `${tenant}-bell` }))
    owner.set(`${other}-part`, other)
    own(tenant, await kernel.flow('order').start({ other: secretOf(other).toUpperCase(), id: `${other}-part` }))
  }
  for (const tenant of TENANTS) own(tenant, await kernel.flow('open').start(undefined, { id: `${tenant}-open` }))
  await drain()
  // A dead letter belongs to the tenant whose job has failed.
  for (const letter of await kernel.port('queue').getJobs({ queue: 'dead' })) {
    const { data } = letter.data as { data: string }
    own(
      TENANTS.find((one) => data === secretOf(one))!,
      letter,
    )
  }
  return jobs
}

/** A body for each route that needs one, from the id of a job or run that may belong to the other tenant. */
const BODIES: Readonly<Record<string, (id: string) => object>> = {
  enqueueJob: (id) => ({ worker: 'echo', data: 1, options: { id } }),
  fireTrigger: (id) => ({ id }),
  saveTrigger: () => ({ type: 'event', event: 'seen', worker: 'echo' }),
  startFlow: (id) => ({ input: { other: 'x', id: 'x' }, id }),
  sendEvent: (id) => ({ name: 'seen', id }),
  rerunFrom: () => ({ step: 'order' }),
  duplicateJob: (id) => ({ id }),
  saveSchedule: () => ({ every: 3_600_000, worker: 'echo' }),
  backfillSchedule: () => ({ from: '2026-11-01', limit: 1 }),
  startBulk: () => ({ action: 'retry' }),
  rescheduleJob: () => ({ delay: 60_000 }),
}

const SHARED = { concurrencyKey: 'shared' }
const ORDER = ['GET', 'POST', 'DELETE']
/** Routes that need an open run. They are called before the routes that end it. */
const FIRST: ReadonlySet<string> = new Set(['updateRun', 'signalRun'])

/** Values for the parameters of queries. A route is asked with each that its schema has. */
const QUERIES: Readonly<Record<string, string>> = {
  ...{ depth: '5', limit: '1000', reverse: 'true', internal: 'true', at: '1', wait: '0' },
  ...{ state: 'failed,completed,waiting,delayed', offset: '1' },
}

const namesRun = (search: string): boolean => search === '' || search.startsWith('?runId=')

function searchesOf({ query }: Route, target: OwnJob): string[] {
  const names = Object.keys(query?.shape ?? {})
  const known = names.flatMap((name) => (name in QUERIES ? [`?${name}=${QUERIES[name]!}`] : []))
  return ['', ...known, ...(names.includes('runId') ? [`?runId=${encodeURIComponent(target.runId)}`] : [])]
}

/** Returns whether a text contains an id or a secret as a whole word. */
const mentions = (text: string, one: string): boolean => new RegExp(`(?<![\\w-])${one}(?![\\w-])`).test(text)

describe('two tenants', () => {
  it('see nothing of each other through the tools of agents, and each read tool works for its owner', async () => {
    const { owner, authorize } = guarded()
    await using rig = await serve({ production: true, authorize }, { workers: WORKERS as never, plugins: [mcp] })
    const jobs = await fill(rig, owner)
    const groups = await rig.kernel.errors()
    const covered = new Set<string>()
    // A job that succeeds, one that fails and a run of a flow, of each tenant.
    const targets = jobs.filter(
      (_, index) => (index < 12 && [0, 1, 5].includes(index % 6)) || jobs[index]!.id.endsWith('.open'),
    )
    for (const tenant of TENANTS) {
      const agent = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
      const requestInit = { headers: { 'x-tenant': tenant } }
      await agent.connect(new StreamableHTTPClientTransport(new URL(`${rig.server.url}/_queue/mcp`), { requestInit }))
      const { tools } = await agent.listTools()
      for (const { name, inputSchema } of tools) {
        for (const target of inputSchema.required ? targets : targets.slice(0, 1)) {
          const { fingerprint } = groups.find((group) => owner.get(group.jobs[0]!.runId) === owner.get(target.runId))!
          const known: Record<string, string> = {
            ...target,
            job: target.id,
            worker: 'echo',
            flow: 'order',
            trigger: 'bell',
          }
          const values = { ...known, fingerprint } as Record<string, string>
          const given = (inputSchema.required ?? []).map((key) => [key, values[key] ?? key] as const)
          const { content, isError = false } = await agent.callTool({ name, arguments: Object.fromEntries(given) })
          const text = JSON.stringify(content)
          const others = jobs.filter(({ id, runId }) => owner.get(runId) !== tenant && !id.endsWith('.order'))
          const foreign = [
            ...others.flatMap(({ id, runId }) => [id, runId]),
            secretOf(TENANTS.find((one) => one !== tenant)!),
          ]
          const leaked = foreign.filter(
            (one) => mentions(text, one) && !given.some(([, value]) => mentions(value, one)),
          )
          expect({ tenant, name, given, leaked }).toEqual({ tenant, name, given, leaked: [] })
          if (!isError) covered.add(name)
        }
      }
      await agent.close()
    }
    const uncovered = routes.filter(
      ({ id, action, stream, media }) => action.endsWith('.read') && !stream && media === undefined && !covered.has(id),
    )
    expect(uncovered.map(({ action }) => action).toSorted()).toEqual([
      'bulk.read',
      'bulk.read',
      'counts.read',
      'instances.read',
      'openapi.read',
    ])
  })

  it('see nothing of each other on any route, and each route works for its owner', async () => {
    const { owner, authorize } = guarded()
    await using rig = await serve({ production: true, authorize }, { workers: WORKERS as never })
    const jobs = await fill(rig, owner)
    const groups = await rig.kernel.errors()
    const covered = new Set<string>()

    /** Sends a request as a tenant, and searches the response for data of the other tenant that is not in the request. */
    async function ask(tenant: Tenant, route: Route, target: OwnJob, search: string): Promise<void> {
      const failed = groups.find((group) => owner.get(group.jobs[0]!.runId) === owner.get(target.runId))
      const { fingerprint } = failed!
      const values: Record<string, string> = {
        ...target,
        job: target.id,
        worker: 'echo',
        flow: 'order',
        // The code declares the other one, so it cannot be saved.
        trigger: route.id === 'saveTrigger' ? 'saved' : 'bell',
        fingerprint,
      }
      const path =
        route.path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(values[name] ?? name)) + search
      const body = JSON.stringify(BODIES[route.id]?.(target.id) ?? {})
      const headers = { 'x-tenant': tenant, 'content-type': 'application/json' }
      const method = route.stream ? 'HEAD' : route.method
      const answer = await rig.raw(`/_queue/api/${path}`, { method, headers, ...(method === 'POST' && { body }) })
      const text = JSON.stringify(answer.body)
      // A run knows the id of the run that started it, so that of `order` is no secret.
      const others = jobs.filter(({ id, runId }) => owner.get(runId) !== tenant && !id.endsWith('.order'))
      const foreign = [
        ...others.flatMap(({ id, runId }) => [id, runId]),
        secretOf(TENANTS.find((one) => one !== tenant)!),
      ]
      const asked = `${decodeURIComponent(path)} ${body}`
      const leaked = foreign.filter((one) => mentions(text, one) && !mentions(asked, one))
      expect({ tenant, method, path, leaked }).toEqual({ tenant, method, path, leaked: [] })
      if (answer.status < 300) covered.add(route.id)
    }

    // Routes that change something are called last.
    const rank = ({ id, method }: Route): number => ORDER.indexOf(method) - (FIRST.has(id) ? 0.5 : 0)
    const order = routes.toSorted((a, b) => rank(a) - rank(b))
    for (const route of order) {
      const targets = /:(?:runId|job|fingerprint)/.test(route.path) || route.id in BODIES ? jobs : jobs.slice(0, 1)
      for (const [index, target] of targets.entries()) {
        const searches = index === 0 ? searchesOf(route, target) : searchesOf(route, target).filter(namesRun)
        for (const search of searches) for (const tenant of TENANTS) await ask(tenant, route, target, search)
      }
    }
    const uncovered = routes.filter(({ id }) => !covered.has(id)).map(({ action }) => action)
    expect(uncovered.toSorted(), 'a route needs a body, a value or a job here').toEqual(
      [...OF_OPERATORS, ...BY_SECRET].toSorted(),
    )
  })

  it('do not learn from an explanation which jobs of the other hold up their own', async () => {
    const { owner, authorize } = guarded()
    const gate = Promise.withResolvers<void>()
    const workers = { held: { config: { concurrency: 2 }, handler: () => gate.promise } }
    await using rig = await serve({ production: true, authorize }, { workers })
    const [ada, bob] = [await rig.kernel.enqueue('held', 1, SHARED), await rig.kernel.enqueue('held', 1, SHARED)]
    owner.set(ada.runId, 'ada').set(bob.runId, 'bob')
    await vi.waitFor(async () => {
      expect((await rig.kernel.port('queue').getJob(bob.queue, bob.id))?.state).toBe('delayed')
    })
    const explained = async (tenant: Tenant): Promise<unknown> =>
      (await rig.ask(`jobs/${bob.queue}/${bob.id}/explain`, { headers: { 'x-tenant': tenant } })).body
    expect(await explained('bob')).toMatchObject({ reasons: [{ code: 'concurrency-key', running: [] }] })
    owner.set(ada.runId, 'bob')
    expect(await explained('bob')).toMatchObject({ reasons: [{ code: 'concurrency-key', running: [ada.id] }] })
    gate.resolve()
    await rig.drain()
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
