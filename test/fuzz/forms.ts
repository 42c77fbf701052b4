import { createHmac } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { createKernel, type Kernel } from '../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../plugins/lib/json.ts'
import { routes } from '../../plugins/integrations/http/routes/index.ts'
import dev from '../../presets/dev.ts'
import { createMutator as createFrames } from '../fixtures/runtime/mutate.ts'
import { conversationsOf } from '../fixtures/runtime/conversations.ts'
import { emptyContext } from '../fixtures/runtime/empty-context.ts'
import { openPuppet } from '../unit/lib/child-process/puppet.ts'
import { createMutator, type Mutator } from './mutate.ts'

/** A target of nearly valid input. */
export interface Fuzzed {
  /** Sends one input. Rejects with the fault that the input reveals. */
  step(): Promise<void>
  close(): Promise<void>
}

const SECRET = 'whsec_c2VjcmV0LW9mLXRoZS1zaG9w'

async function openKernel(): Promise<{ kernel: Kernel; errors: unknown[] }> {
  const errors: unknown[] = []
  const kernel = await createKernel({
    preset: dev,
    config: {
      registry: { dirs: [] },
      http: { token: 'a-token-of-enough-letters' },
      triggers: {
        signed: {
          type: 'webhook',
          path: 'signed',
          worker: 'echo',
          verify: { type: 'hmac', scheme: 'github', secret: SECRET },
        },
        key: {
          type: 'webhook',
          path: 'shop/key',
          worker: 'echo',
          verify: { type: 'apiKey', query: 'key', secret: SECRET },
        },
        standard: { type: 'webhook', path: 'standard', worker: 'echo', verify: { type: 'standard', secret: SECRET } },
      },
    },
    reporter: { warn() {}, error: (message: string, detail?: unknown) => void errors.push(message, detail) },
  })
  await kernel.registerWorker({ id: 'echo', handler: ({ data }) => data })
  await kernel.registerWorker({
    id: 'entry',
    handler: ({ data }) => data,
    config: { flow: { name: 'flow', role: 'entry' } },
  })
  await kernel.start()
  return { kernel, errors }
}

interface Sent {
  method: string
  path: string
  headers: Record<string, string>
  body?: string
}

/** Sends a request if a server would accept it. */
async function send({ kernel, errors }: Awaited<ReturnType<typeof openKernel>>, sent: Sent): Promise<number> {
  const url = URL.parse(`http://localhost${sent.path}`)
  if (!url) return 0
  let request: Request
  try {
    request = new Request(url, {
      method: sent.method,
      headers: sent.headers,
      body: sent.body,
      signal: AbortSignal.timeout(2000),
    })
  } catch {
    return 0
  }
  const response = await kernel.http.fetch(request, { trusted: true })
  const isStream = response.headers.get('content-type')?.includes('event-stream') === true
  if (isStream) await response.body?.cancel()
  const text = isStream ? '' : await response.text()
  const wrong = response.status >= 500 && response.status !== 503
  if (wrong || errors.length > 0)
    throw new Error(`${JSON.stringify(sent)} is answered ${response.status}: ${text} ${errors.map(String).join(' ')}`)
  assertUnpolluted()
  return response.status
}

function assertUnpolluted(): void {
  const names = Object.keys(Object.prototype)
  if (names.length > 0) throw new Error(`The prototype of all objects has got ${names.join(', ')}.`)
}

/** Valid values of path parameters and members of bodies. */
const BODIES: unknown[] = [
  {
    worker: 'echo',
    data: { a: [1, 'x', null] },
    options: { id: 'one', delay: 10, priority: 1, attempts: 2, backoff: { type: 'exponential', delay: 5 } },
  },
  { worker: 'echo', data: 1, options: { tags: ['a'], jobId: 'x', removeOnComplete: true } },
  { name: 'paid', key: 'one', payload: { amount: 1 }, id: 'e1' },
  { input: { a: 1 }, options: { id: 'f', tags: ['a:1'] } },
  { payload: { a: 1 }, id: 't', key: 'k' },
  { at: 3, reason: 'no more', step: 'echo', limit: 5 },
  {},
]
const QUERIES = [
  '',
  'limit=5',
  'depth=3',
  'at=2',
  'at=2026-01-31T12:00:00Z',
  'after=1&until=5&types=a,b',
  'status=failed',
  'after=eyJhIjoxfQ',
  'wait=1',
  'live',
  'state=failed,active&offset=1',
  'reverse=true',
]

async function http(seed: number): Promise<Fuzzed> {
  const host = await openKernel()
  const mutator = createMutator(seed)
  const job = await host.kernel.enqueue('echo', 1, { id: 'one' })
  const names: Record<string, string> = {
    queue: 'echo',
    job: 'one',
    runId: job.runId,
    flow: 'flow',
    trigger: 'key',
    token: 'x',
  }
  const { pick, maybe, text, json, below } = mutator
  return {
    async step() {
      const { method, path } = pick(routes)
      const filled = path.replaceAll(/:(\w+)/g, (_, name: string) => encodeText(maybe(names[name] ?? 'x')))
      const query = method === 'GET' ? maybe(pick(QUERIES)) : ''
      const type = below(8) === 0 ? text('application/json') : 'application/json'
      await send(host, {
        method: below(20) === 0 ? pick(['PUT', 'PATCH', 'OPTIONS', 'HEAD', 'DELETE']) : method,
        path: maybe(`/_queue/api/${filled}`) + (query && `?${query}`),
        headers: headersOf(mutator, { authorization: 'Bearer a-token-of-enough-letters', 'content-type': type }),
        ...(method === 'POST' && { body: json(pick(BODIES)) }),
      })
    },
    close: async () => void (await host.kernel.close()),
  }
}

/** Encodes a text, unless a mutation made it impossible to encode. */
function encodeText(given: string): string {
  return given.isWellFormed() ? encodeURIComponent(given) : given
}

/** Sometimes changes or adds a header. */
function headersOf({ below, pick, text }: Mutator, given: Record<string, string>): Record<string, string> {
  if (below(6) > 0) return given
  const name = pick([
    ...Object.keys(given),
    'origin',
    'host',
    'cookie',
    'last-event-id',
    'x-forwarded-for',
    'content-length',
  ])
  return { ...given, [name]: text(given[name] ?? 'localhost') }
}

async function webhooks(seed: number): Promise<Fuzzed> {
  const host = await openKernel()
  const mutator = createMutator(seed)
  const { pick, maybe, json, below } = mutator
  return {
    async step() {
      const right = JSON.stringify(pick(BODIES))
      const body = below(2) === 0 ? right : json(pick(BODIES))
      const id = `d${below(1e9)}`
      const seconds = String(Math.floor(host.kernel.clock.now() / 1000))
      const sha = createHmac('sha256', SECRET).update(right).digest('hex')
      const key = Buffer.from(SECRET.slice(6), 'base64')
      const standard = createHmac('sha256', key).update(`${id}.${seconds}.${right}`).digest('base64')
      const [path, proof] = pick<[string, Record<string, string>]>([
        ['triggers/signed', { 'x-hub-signature-256': `sha256=${sha}`, 'x-github-delivery': id }],
        [
          'triggers/standard',
          { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': `v1,${standard}` },
        ],
        [`triggers/shop/key?key=${SECRET}`, {}],
        [`wait/${'a'.repeat(43)}`, {}],
      ])
      const headers = headersOf(mutator, {
        'content-type': pick(['application/json', 'text/plain', 'application/x-www-form-urlencoded']),
        ...proof,
      })
      const sent = { method: below(10) === 0 ? 'GET' : 'POST', path: maybe(`/_queue/${path}`), headers }
      const status = await send(host, { ...sent, ...(sent.method === 'POST' && { body }) })
      if (status < 300 && status > 0 && body !== right && /signed|standard/.test(path)) {
        throw new Error(`A body that nobody signed was taken: ${body}`)
      }
    },
    close: async () => void (await host.kernel.close()),
  }
}

async function protocol(seed: number): Promise<Fuzzed> {
  const said = conversationsOf('host').flatMap(({ frames }) =>
    frames.flatMap(([side, script]) => (side === 'child' ? [JSON.stringify(script)] : [])),
  )
  const next = createFrames(said, seed)
  return {
    async step() {
      const puppet = openPuppet()
      puppet.say({ jsonrpc: '2.0', id: 1, result: { protocol: 1, runtime: { name: 'x', version: 'x' } } })
      await puppet.child.ready
      const state = { over: false }
      const executed = puppet.child.execute(emptyContext()).then(
        () => void (state.over = true),
        () => void (state.over = true),
      )
      for (let frame = 0; frame < 200 && !state.over; frame++) {
        puppet.write(next())
        await new Promise((resolve) => void setImmediate(resolve))
      }
      await puppet.close()
      await executed
      assertUnpolluted()
    },
    close: async () => {},
  }
}

async function json(seed: number): Promise<Fuzzed> {
  const { json: mutated, pick } = createMutator(seed)
  const values: unknown[] = [
    ...BODIES,
    { $date: '2026-01-31T12:00:00.000Z' },
    [{ $bytes: 'AAEC' }, { $bigint: '12' }],
    { $object: { $date: 1 } },
  ]
  return {
    async step() {
      const text = mutated(pick(values))
      let value: unknown
      try {
        value = decodeJson(text)
      } catch (error) {
        if (error instanceof SyntaxError) return
        throw error
      }
      // V8 reads back a key that is half of a surrogate pair as a backslash, depending on what it has read before.
      if (!text.isWellFormed()) return
      const again = decodeJson(encodeJson(value))
      if (!isDeepStrictEqual(again, value)) throw new Error(`${text} is read as another value when it has been written`)
      assertUnpolluted()
    },
    close: async () => {},
  }
}

export const FORMS: Readonly<Record<string, (seed: number) => Promise<Fuzzed>>> = { http, webhooks, protocol, json }
