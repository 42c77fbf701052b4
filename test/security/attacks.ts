import { createConnection } from 'node:net'
import { gunzipSync, gzipSync } from 'node:zlib'
import { routes } from '../../plugins/integrations/http/routes/index.ts'
import { COOKIE, SECRET, type Target, type Weakness } from './targets.ts'

/** One attack: how it is tried, and what lets it succeed. */
export interface Attack {
  name: string
  /** Whether it has succeeded. */
  attempt(target: Target): Promise<boolean>
  /** What a server has to do wrong for that. */
  weakness: Weakness
}

const EVIL = 'https://evil.example'
const MARKUP = '<img src=x onerror=alert(1)>'
const JSON_TYPE = { 'content-type': 'application/json' }

interface Sent {
  method?: string
  headers?: Record<string, string>
  body?: string | Buffer
}

interface Reply {
  status: number
  head: string
  body: string
}

/** Sends exactly what is given, as no client would. */
function exchange({ port }: Target, bytes: string | Buffer, isOver = (_text: string) => false): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    let text = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk) => {
      text += String(chunk)
      if (isOver(text)) socket.destroy()
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
    socket.write(bytes)
  })
}

/** The browser of somebody who is logged in sends a request, or anybody does who says so in `headers`. */
async function send(
  target: Target,
  path: string,
  { method = 'GET', headers = {}, body = '' }: Sent = {},
): Promise<Reply> {
  const given = { host: `localhost:${target.port}`, cookie: COOKIE, connection: 'close', ...headers }
  const lines = Object.entries(given).flatMap(([name, value]) => (value === '' ? [] : [`${name}: ${value}`]))
  const length = method === 'GET' ? [] : [`content-length: ${Buffer.byteLength(body)}`]
  const head = [`${method} ${target.base}${path} HTTP/1.1`, ...lines, ...length, '', ''].join('\r\n')
  const text = await exchange(target, Buffer.concat([Buffer.from(head), Buffer.from(body)]), isStream)
  const [top = '', ...rest] = text.split('\r\n\r\n')
  return { status: Number(/^HTTP\/1.1 (\d+)/.exec(top)?.[1]), head: top, body: rest.join('\r\n\r\n') }
}

/** A stream does not end by itself, and nor does what has become a WebSocket. */
function isStream(text: string): boolean {
  return /^HTTP\/1.1 (?:101|200)[^]*?(?:event-stream|websocket)[^]*?\r\n\r\n/i.test(text)
}

const job = (id: string, data: unknown = null): string => JSON.stringify({ worker: 'echo', data, options: { id } })

/** Whether any of some tries has succeeded. */
async function any<T>(tries: readonly T[], attempt: (one: T) => Promise<boolean>): Promise<boolean> {
  for (const one of tries) if (await attempt(one)) return true
  return false
}

const forge: Attack = {
  name: 'CSRF: a form or a script of another site enqueues a job',
  attempt: (target) =>
    any(
      [
        { origin: EVIL, 'content-type': 'text/plain' },
        { origin: EVIL, 'content-type': 'application/x-www-form-urlencoded' },
        { origin: EVIL, 'content-type': 'multipart/form-data; boundary=application/json' },
        { 'content-type': 'text/plain', 'sec-fetch-site': 'cross-site' },
        { origin: EVIL, ...JSON_TYPE },
        { origin: 'null', ...JSON_TYPE },
        { origin: `http://localhost.evil.example`, ...JSON_TYPE },
        { 'sec-fetch-site': 'cross-site', ...JSON_TYPE },
      ] as Record<string, string>[],
      async (headers) =>
        (await send(target, '/_queue/api/jobs', { method: 'POST', headers, body: job('forged') })).status === 202,
    ),
  weakness: {
    weaken({ headers }) {
      delete headers.origin
      delete headers['sec-fetch-site']
      headers['content-type'] = 'application/json'
    },
  },
}

const eavesdrop: Attack = {
  name: 'cross-site WebSocket: a page of another site follows all runs',
  attempt: (target) =>
    any([{ origin: EVIL }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }], async (headers) => {
      const upgrade = { upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-version': '13' }
      const key = { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' }
      const reply = await send(target, '/_queue/api/stream', { headers: { ...upgrade, ...key, ...headers } as never })
      return reply.status === 101
    }),
  weakness: {
    weaken({ headers }) {
      delete headers.origin
      delete headers['sec-fetch-site']
    },
  },
}

const rebind: Attack = {
  name: 'DNS rebinding: a page whose name has come to point here reads queues',
  attempt: (target) =>
    any(
      ['evil.example', `localhost.evil.example:${target.port}`, '127.0.0.1.evil.example', '[::1].evil.example'],
      async (host) => {
        const headers = { host, cookie: '', origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }
        return (await send(target, '/_queue/api/queues', { headers })).status === 200
      },
    ),
  weakness: {
    weaken({ headers }) {
      headers.host = 'localhost'
      headers.cookie = COOKIE
      delete headers.origin
    },
  },
}

const inject: Attack = {
  name: 'header injection: what a request names begins a header of the answer',
  attempt: (target) =>
    any(
      [
        '%0d%0aset-cookie:%20a=b',
        '%0aset-cookie:%20a=b',
        '%E5%98%8A%E5%98%8Dset-cookie:%20a=b',
        '%00%0d%0a%0d%0aset-cookie:',
      ],
      (text) =>
        any(
          [`api/runs/${text}/export`, `api/queues/${text}`, `api/jobs?after=${text}`, `triggers/${text}`, text],
          async (path) => {
            const { head } = await send(target, `/_queue/${path}`, {
              headers: { 'x-request-id': decodeURIComponent(text.replaceAll(/%0[da0]/g, '')) },
            })
            return /\nset-cookie:/i.test(head)
          },
        ),
    ),
  weakness: {
    spoil({ url }, response) {
      response.socket!.end(`HTTP/1.1 302 Found\r\nlocation: ${decodeURIComponent(url!)}\r\nconnection: close\r\n\r\n`)
    },
  },
}

const traverse: Attack = {
  name: 'path traversal: a path that means another one passes by the guard',
  attempt: (target) =>
    any(
      [
        ...[
          'wait/../api/queues',
          'wait/%2e%2e/api/queues',
          'wait/..%2fapi/queues',
          '/api/queues',
          'api%2fqueues',
          './api/queues',
        ],
        ...[
          'API/queues',
          'api/../api/queues',
          'api//queues',
          'api;x/queues',
          'api\\queues',
          'x/..;/api/queues',
          'api/queues/',
        ],
        ...[
          '../../../etc/passwd',
          '..%2f..%2f..%2fetc%2fpasswd',
          'api/runs/..%2f..%2fqueues',
          'triggers/../../etc/passwd',
        ],
      ],
      async (path) => {
        const headers = { cookie: '', host: 'elsewhere.example' }
        const { status, body } = await send(target, `/_queue/${path}`, { headers })
        return (status === 200 && body.includes('"queues"')) || body.includes('root:')
      },
    ),
  weakness: {
    // Guards only what begins with the path that it knows.
    weaken({ url, headers }) {
      if (url!.includes('/_queue/api/')) return
      headers.cookie = COOKIE
      headers.host = 'localhost'
    },
  },
}

const smuggle: Attack = {
  name: 'request smuggling: a message whose end two servers see at different places is taken',
  attempt: (target) =>
    any(
      [
        'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n',
        'Content-Length: 0\r\nContent-Length: 44\r\n\r\n',
        'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
        'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
        'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
        'Content-Length: +0\r\n\r\n',
        'Content-Length: 0x0\r\n\r\n',
        'Transfer-Encoding: chunked\r\n\r\n0;x\n\r\n\r\n',
        'X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      ],
      async (rest) => {
        const hidden = `GET ${target.base}/_queue/api/health HTTP/1.1\r\nHost: localhost\r\nCookie: ${COOKIE}\r\nConnection: close\r\n\r\n`
        const first = `POST ${target.base}/_queue/api/jobs HTTP/1.1\r\nHost: localhost\r\nCookie: ${COOKIE}\r\nContent-Type: text/plain\r\n`
        const answers = (text: string): number => text.split('HTTP/1.1 ').length - 1
        const text = await exchange(target, first + rest + hidden, (so) => answers(so) > 1)
        return answers(text) > 1
      },
    ),
  weakness: { lenient: true },
}

const inflate: Attack = {
  name: 'decompression: a few bytes become more than a request may have',
  async attempt(target) {
    const body = gzipSync(job('inflated', 'x'.repeat(900_000)))
    const deep = { 'content-encoding': 'gzip, gzip' }
    return any(
      [{ 'content-encoding': 'gzip' }, { 'content-encoding': 'GZIP' }, deep] as Record<string, string>[],
      async (headers) => {
        const bytes = headers === deep ? gzipSync(body) : body
        const sent = { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body: bytes }
        return (await send(target, '/_queue/api/jobs', sent)).status === 202
      },
    )
  },
  weakness: {
    async spoil(request, response) {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      gunzipSync(Buffer.concat(chunks))
      response.writeHead(202, { connection: 'close' }).end()
    },
  },
}

/** Where JSON comes in, beside the parameters of paths. */
const ENTRANCES = [
  ...routes.filter(({ method }) => method === 'POST').map(({ path }) => `api/${path.replaceAll(/:\w+/g, 'echo')}`),
  ...['triggers/hook', 'wait/nobody'],
]

const pollute: Attack = {
  name: 'prototype pollution: JSON reaches the prototype of all objects',
  async attempt(target) {
    const evil = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'
    const bodies = [
      evil,
      `{"worker":"echo","data":${evil},"options":{"tags":[],"__proto__":{"polluted":1}}}`,
      `{"name":"x","payload":${evil}}`,
      `[${evil}]`,
    ]
    try {
      for (const path of ENTRANCES) {
        for (const body of [...bodies, `{"worker":"echo","data":${evil}}`]) {
          await send(target, `/_queue/${path}`, { method: 'POST', headers: { ...JSON_TYPE, 'x-secret': SECRET }, body })
        }
      }
      for (const query of ['__proto__[polluted]=1', '__proto__.polluted=1', 'constructor[prototype][polluted]=1']) {
        await send(target, `/_queue/api/runs?${query}`)
      }
      return Object.hasOwn(Object.prototype, 'polluted')
    } finally {
      delete (Object.prototype as { polluted?: unknown }).polluted
    }
  },
  weakness: {
    async spoil(request, response) {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const text = Buffer.concat(chunks).toString()
      if (text !== '') merge({}, JSON.parse(text) as Record<string, unknown>)
      response.writeHead(202, { connection: 'close' }).end()
    },
  },
}

function merge(into: Record<string, unknown>, from: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(from)) {
    if (typeof value === 'object' && value !== null)
      merge((into[key] ??= {}) as Record<string, unknown>, value as Record<string, unknown>)
    else into[key] = value
  }
}

const script: Attack = {
  name: 'XSS: markup in a name, an id, a value or an error is shown as a page',
  async attempt(target) {
    const { kernel } = target
    await kernel.enqueue('echo', MARKUP, { id: MARKUP }).then((one) => kernel.result(one))
    const text = encodeURIComponent(MARKUP)
    const [run] = await kernel.port('events').runs.list({ limit: 1 })
    const reads = routes.filter(({ method, stream }) => method === 'GET' && !stream)
    const paths = [
      ...reads.map(({ path }) => `api/${path.replace(':runId', run!.runId).replaceAll(/:\w+/g, text)}`),
      ...['api/jobs?name=', 'api/runs?name=', 'triggers/', 'wait/', 'approve/', ''].map((path) => path + text),
    ]
    const shown = await Promise.all(paths.map((path) => send(target, `/_queue/${path}`)))
    return shown.some(({ head, body }) => {
      const type = /\ncontent-type: *([^\r]*)/i.exec(head)?.[1] ?? ''
      // Without a type, or with one of text that it may think wrong, a browser guesses.
      const guessed = body !== '' && (type === '' || (!/json/.test(type) && !/nosniff/i.test(head)))
      return body.includes(MARKUP) && (/html|xml|svg/.test(type) || guessed)
    })
  },
  weakness: {
    spoil({ url }, response) {
      response
        .writeHead(404, { 'content-type': 'text/html', connection: 'close' })
        .end(`Nothing at ${decodeURIComponent(url!)}`)
    },
  },
}

export const ATTACKS: readonly Attack[] = [
  forge,
  eavesdrop,
  rebind,
  inject,
  traverse,
  smuggle,
  inflate,
  pollute,
  script,
]
