import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { describe, expect, it } from 'vitest'
import { routes } from '../../../plugins/integrations/http/routes/index.ts'
import { toolsOf, type ApiDocument } from '../../../plugins/integrations/lib/mcp/tools.ts'
import mcp from '../../../plugins/integrations/mcp/index.ts'
import type { KernelConfig } from '../../../kernel/index.ts'
import { createTestKernel } from '../../../testing/index.ts'
import { serve, type Rig } from '../http/rig.ts'

const TOKENS = {
  write: 'a-writer-of-enough-letters',
  read: 'a-reader-of-enough-letters',
  metrics: 'a-scraper-of-letters',
}
const token: NonNullable<KernelConfig['http']>['token'] = [
  TOKENS.write,
  { token: TOKENS.read, role: 'read' },
  { token: TOKENS.metrics, role: 'metrics' },
]

const WORKERS = {
  greet: ({ data }: { data: unknown }) => `hello ${String(data)}`,
  fails: { config: { attempts: 1 }, handler: () => Promise.reject(new Error('no luck')) },
}

function serveMcp(http: KernelConfig['http'] = {}, options: object = { write: true }): Promise<Rig> {
  return serve(http, { workers: WORKERS, plugins: [mcp], config: { mcp: options } })
}

/** Connects as the SDK does today, or in the newest revision of the protocol. */
async function connect({ server }: Rig, headers: Record<string, string> = {}, pin?: string) {
  const versionNegotiation = pin === undefined ? {} : { versionNegotiation: { mode: { pin } } }
  const client = new Client({ name: 'test', version: '1' }, versionNegotiation)
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${server.url}/_queue/mcp`), { requestInit: { headers } }),
  )
  const call = async (name: string, given: Record<string, unknown> = {}) => {
    const { content, isError = false } = await client.callTool({ name, arguments: given })
    const [text, note] = (content as { text: string }[]).map((block) => block.text)
    return { text: text!, note, isError, json: () => JSON.parse(text!) as Record<string, string> }
  }
  return { client, call, [Symbol.asyncDispose]: () => client.close() }
}

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` })

describe('tools', () => {
  it('are the routes with a JSON response, each with unique names for all parameters', async () => {
    await using test = await createTestKernel()
    const document = (await test.kernel.http.describe()) as ApiDocument
    const all = toolsOf(document, true)
    const expected = routes.filter(({ stream, media, id }) => !stream && media === undefined && id !== 'getDocument')
    expect(all.map(({ name }) => name).toSorted()).toEqual(expected.map(({ id }) => id).toSorted())
    expect(toolsOf(document, false).map(({ name }) => name)).toEqual(
      all.filter(({ annotations }) => annotations.readOnlyHint).map(({ name }) => name),
    )
    for (const { name, inputSchema, annotations } of all) {
      const { path, query, body, action } = routes.find(({ id }) => id === name)!
      const parts = [
        ...[...path.matchAll(/:(\w+)/g)].map(([, part]) => part!),
        ...Object.keys(query?.shape ?? {}),
        ...Object.keys((body as { shape?: object } | undefined)?.shape ?? {}),
        ...(query?.def.catchall && query.def.catchall._zod.def.type !== 'never' ? ['others'] : []),
        ...(action.endsWith('.read') ? ['skipCharacters'] : []),
      ]
      expect(Object.keys(inputSchema.properties as object).toSorted(), name).toEqual(parts.toSorted())
      expect([name, annotations.readOnlyHint]).toEqual([name, action.endsWith('.read')])
    }
    const hintsOf = (name: string) => all.find((tool) => tool.name === name)!.annotations
    expect(hintsOf('listJobs')).toMatchObject({ readOnlyHint: true, destructiveHint: false, idempotentHint: true })
    expect(hintsOf('enqueueJob')).toMatchObject({ readOnlyHint: false, destructiveHint: false, idempotentHint: false })
    expect(hintsOf('cancelJob')).toMatchObject({ readOnlyHint: false, destructiveHint: true, idempotentHint: true })
    expect(hintsOf('removeJob')).toMatchObject({ readOnlyHint: false, destructiveHint: true, idempotentHint: true })
    expect(hintsOf('startBulk')).toMatchObject({ readOnlyHint: false, destructiveHint: true, idempotentHint: false })
  })

  it('put their arguments where the route expects them, and never reach another path', async () => {
    await using test = await createTestKernel()
    const all = toolsOf((await test.kernel.http.describe()) as ApiDocument, true)
    const request = (name: string, given: object) => all.find((tool) => tool.name === name)!.toRequest(given as never)
    expect(request('getJob', { queue: 'a/b', job: 'é?' })).toEqual({ method: 'GET', path: 'jobs/a%2Fb/%C3%A9%3F' })
    const others = { 'data.customer.id': 7 }
    expect(request('listJobs', { state: ['failed', 'active'], others, skipCharacters: 5 })).toEqual({
      method: 'GET',
      path: 'jobs?limit=20&state=failed%2Cactive&data.customer.id=7',
    })
    const edited = { queue: 'q', job: 'j', data: { to: 'ada' } }
    expect(request('retryJob', edited)).toEqual({
      method: 'POST',
      path: 'jobs/q/j/retry',
      body: '{"data":{"to":"ada"}}',
    })
    for (const queue of ['..', '.', '', undefined]) {
      expect(() => request('getJob', { queue, job: 'j' })).toThrow(/"queue" (must be a string other than|is missing)/)
    }
  })

  it('refuse every argument that they do not declare and every call without a required one, and name their arguments', async () => {
    await using test = await createTestKernel()
    const all = toolsOf((await test.kernel.http.describe()) as ApiDocument, true)
    for (const { name, inputSchema, toRequest } of all) {
      const { properties, required = [] } = inputSchema as { properties: object; required?: string[] }
      const given = Object.fromEntries(required.map((argument) => [argument, 'x']))
      const open = 'others' in properties
      const more = open ? given : { ...given, bogus: 1 }
      const refused = open ? 'nothing' : `${name} has no argument "bogus".`
      expect(
        messageOf(() => toRequest(more)),
        name,
      ).toContain(refused)
      for (const argument of required) {
        expect(messageOf(() => toRequest({ ...given, [argument]: null }))).toContain(`"${argument}" is missing.`)
      }
    }
    const getJob = all.find(({ name }) => name === 'getJob')!
    expect(messageOf(() => getJob.toRequest({ queue: 'q', jobId: 'j' }))).toBe(
      'getJob has no argument "jobId". Its arguments are: queue (required), job (required), skipCharacters.',
    )
    for (const skipCharacters of [-5, 1.5, 'x', 1e300]) {
      expect(messageOf(() => getJob.toRequest({ queue: 'q', job: 'j', skipCharacters }))).toContain('"skipCharacters"')
    }
  })
})

function messageOf(run: () => unknown): string {
  try {
    run()
    return 'nothing'
  } catch (error) {
    return (error as Error).message
  }
}

describe('mcp over HTTP', () => {
  it('lists and calls tools of both kinds for clients of both revisions, in pages that fit', async () => {
    await using rig = await serveMcp({}, { write: true, maxCharacters: 1000 })
    await using old = await connect(rig)
    await using modern = await connect(rig, {}, '2026-07-28')
    expect(old.client.getInstructions()).toContain('never as instructions')
    const { tools } = await modern.client.listTools()
    expect((await old.client.listTools()).tools.map(({ name }) => name)).toEqual(tools.map(({ name }) => name))
    expect(tools.find(({ name }) => name === 'enqueueJob')).toMatchObject({
      inputSchema: { required: ['worker'], properties: { worker: { type: 'string' } } },
      annotations: { readOnlyHint: false },
      description: expect.stringContaining('never as instructions') as string,
    })

    for (const { call } of [old, modern]) {
      const job = (await call('enqueueJob', { worker: 'greet', data: 'Ada' })).json()
      await rig.drain()
      const found = await call('getJob', { queue: 'default', job: job.id })
      expect(found).toMatchObject({ isError: false, note: undefined })
      expect(found.json()).toMatchObject({ state: 'completed', result: 'hello Ada' })
      expect((await call('getState', { runId: job.runId, at: 1 })).json()).toEqual({})
      const missing = await call('getJob', { queue: 'default', job: 'none' })
      expect(missing).toMatchObject({ isError: true })
      expect(missing.json()).toMatchObject({ code: 'JOB_NOT_FOUND' })
      expect(await call('listJobs', { limit: 'many' })).toMatchObject({ isError: true })
      expect(await call('getJob', { queue: '..', job: '..' })).toMatchObject({ isError: true })
      await expect(call('nothing')).rejects.toThrow('nothing')
    }

    const { call } = modern
    await rig.kernel.enqueueMany(Array.from({ length: 9 }, () => ({ worker: 'greet', data: 'x'.repeat(200) })))
    await rig.drain()
    const first = await call('listJobs', { limit: 1 })
    const [, after] = /after: "(.+)"/.exec(first.note!)!
    const second = await call('listJobs', { limit: 1, after })
    expect(second.json()).not.toEqual(first.json())

    let whole = ''
    let part = await call('listJobs', { limit: 5 })
    for (; /cut after (\d+)/.test(part.note ?? '');) {
      expect(part.text).toHaveLength(1000)
      whole += part.text
      part = await call('listJobs', { limit: 5, skipCharacters: Number(/skipCharacters: (\d+)/.exec(part.note!)![1]) })
    }
    const beyond = await call('listJobs', { limit: 5, skipCharacters: 1_000_000 })
    expect(beyond).toMatchObject({ text: '', note: expect.stringMatching(/has only \d+ characters/) as string })
    const { body } = await rig.ask('jobs?limit=5')
    expect(JSON.parse(whole + part.text)).toEqual(body)
    expect(rig.reports).toEqual([])
  })

  it('neither lists nor runs tools that change something unless this is enabled', async () => {
    await using rig = await serveMcp({}, {})
    await using agent = await connect(rig)
    const { tools } = await agent.client.listTools()
    expect(tools.filter(({ annotations }) => !annotations!.readOnlyHint)).toEqual([])
    await expect(agent.call('enqueueJob', { worker: 'greet' })).rejects.toThrow('enqueueJob')
    expect(await rig.kernel.port('queue').getJobs({ queue: 'default' })).toEqual([])
  })

  it('requires the permission mcp.read, and for each call the permission of its action', async () => {
    await using rig = await serveMcp({ production: true, token })
    await using writer = await connect(rig, bearer(TOKENS.write))
    await using reader = await connect(rig, bearer(TOKENS.read))
    expect(await writer.call('enqueueJob', { worker: 'greet' })).toMatchObject({ isError: false })
    expect(await reader.call('listJobs')).toMatchObject({ isError: false })
    const refused = await reader.call('enqueueJob', { worker: 'greet' })
    expect(refused).toMatchObject({ isError: true })
    expect(refused.json()).toMatchObject({ status: 403, code: 'REQUEST_FORBIDDEN' })
    expect((await rig.kernel.audit()).map(({ actor, action, outcome }) => [actor, action, outcome])).toEqual([
      ['token read', 'jobs.enqueue', 'REQUEST_FORBIDDEN'],
      ['token write', 'jobs.enqueue', 'done'],
    ])

    const hello = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
    const statusOf = async (given: Record<string, string>, method = 'POST', body: string | undefined = hello) => {
      const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...given }
      return (await rig.raw('/_queue/mcp', { method, headers, ...(method === 'POST' && { body }) })).status
    }
    expect(await statusOf({})).toBe(401)
    expect(await statusOf(bearer(TOKENS.metrics))).toBe(403)
    expect(await statusOf({ ...bearer(TOKENS.read), origin: 'https://attacker.example' })).toBe(403)
    expect(await statusOf({ ...bearer(TOKENS.read), 'content-type': 'text/plain' })).toBe(415)
    expect(await statusOf(bearer(TOKENS.read), 'POST', `"${'x'.repeat(2 ** 20)}"`)).toBe(413)
    expect(await statusOf(bearer(TOKENS.read), 'POST', '{')).toBe(400)
    expect(await statusOf(bearer(TOKENS.read), 'GET')).toBe(405)
    expect(await statusOf(bearer(TOKENS.read), 'DELETE')).toBe(405)
    expect(await statusOf(bearer(TOKENS.read))).toBe(200)
    expect((await rig.raw('/_queue/mcp/more', { headers: bearer(TOKENS.read) })).status).toBe(404)
    expect(rig.reports).toEqual([])
  })

  it('is closed in production, and closed to other host names of this machine in development', async () => {
    const headers = { 'content-type': 'application/json' }
    await using closed = await serveMcp({ production: true })
    expect((await closed.raw('/_queue/mcp', { method: 'POST', headers, body: '{}' })).status).toBe(404)
    await using open = await serveMcp()
    const host = 'attacker.example'
    expect((await open.raw('/_queue/mcp', { method: 'POST', headers: { ...headers, host }, body: '{}' })).status).toBe(
      403,
    )
  })
})
