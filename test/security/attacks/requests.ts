import { gunzipSync, gzipSync } from 'node:zlib'
import { COOKIE, type Address } from '../targets.ts'
import { any, exchange, job, JSON_TYPE, send, type Attack } from './send.ts'

const EVIL = 'https://evil.example'

const forge: Attack<Address> = {
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
        (await send(target, '/api/jobs', { method: 'POST', headers, body: job('forged') })).status === 202,
    ),
  weakness: {
    weaken({ headers }) {
      delete headers.origin
      delete headers['sec-fetch-site']
      headers['content-type'] = 'application/json'
    },
  },
}

const eavesdrop: Attack<Address> = {
  name: 'cross-site WebSocket: a page of another site follows all runs',
  attempt: (target) =>
    any([{ origin: EVIL }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }], async (headers) => {
      const upgrade = { upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-version': '13' }
      const key = { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' }
      const reply = await send(target, '/api/stream', { headers: { ...upgrade, ...key, ...headers } as never })
      return reply.status === 101
    }),
  weakness: {
    weaken({ headers }) {
      delete headers.origin
      delete headers['sec-fetch-site']
    },
  },
}

const rebind: Attack<Address> = {
  name: 'DNS rebinding: a page whose name has come to point here reads queues',
  attempt: (target) =>
    any(
      ['evil.example', `localhost.evil.example:${target.port}`, '127.0.0.1.evil.example', '[::1].evil.example'],
      async (host) => {
        const headers = { host, cookie: '', origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }
        return (await send(target, '/api/queues', { headers })).status === 200
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

const disguise: Attack<Address> = {
  name: 'a disguise: what comes through a proxy, or names its host oddly, passes for a request of this machine',
  attempt: (target) =>
    any(
      [
        ...[
          'X-Forwarded-For: 127.0.0.1',
          'Forwarded: for=127.0.0.1;host=localhost',
          'X-Real-IP: ::1',
          'Via: 1.1 localhost',
        ],
        ...[
          'X-Forwarded-Host: localhost',
          'CF-Connecting-IP: 127.0.0.1',
          'X-Nuxt-Queue-Local: guess\r\nVia: x',
          ' folded: x',
        ],
      ],
      (line) =>
        any(
          ['localhost', 'evil.example\r\nHost: localhost', 'localhost@evil.example', 'evil.example#localhost', ''],
          (host) =>
            any([`${target.base}/api/queues`, `http://localhost${target.base}/api/queues`], async (path) => {
              const text = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${line}\r\nConnection: close\r\n\r\n`
              return (await exchange(target, text)).includes('"queues"')
            }),
        ),
    ),
  weakness: {
    weaken({ headers }) {
      for (const name of ['x-forwarded-for', 'x-forwarded-host', 'forwarded', 'via']) delete headers[name]
      headers.host = 'localhost'
      headers.cookie = COOKIE
    },
  },
}

const swell: Attack<Address> = {
  name: 'headers without end: they are kept in memory, or stop the server',
  async attempt(target) {
    const lines = ['x'.repeat(20_000), 'x'.repeat(1_200_000), 'x\r\nX: y'.repeat(30_000)]
    const taken = await any(lines, async (line) => {
      const { status } = await send(target, '/api/health', { headers: { 'x-long': line } })
      // A client that is still sending may lose the rejection.
      return status >= 200 && status < 400
    })
    return taken || (await send(target, '/api/health')).status !== 200
  },
  weakness: { roomy: true },
}

const inject: Attack<Address> = {
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
            const { head } = await send(target, `/${path}`, {
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

const traverse: Attack<Address> = {
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
        const { status, body } = await send(target, `/${path}`, { headers })
        return (status === 200 && body.includes('"queues"')) || body.includes('root:')
      },
    ),
  weakness: {
    // Protects only paths with the known prefix.
    weaken({ url, headers }) {
      if (url!.includes('/_queue/api/')) return
      headers.cookie = COOKIE
      headers.host = 'localhost'
    },
  },
}

const smuggle: Attack<Address> = {
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
        const hidden = `GET ${target.base}/api/health HTTP/1.1\r\nHost: localhost\r\nCookie: ${COOKIE}\r\nConnection: close\r\n\r\n`
        const first = `POST ${target.base}/api/jobs HTTP/1.1\r\nHost: localhost\r\nCookie: ${COOKIE}\r\nContent-Type: text/plain\r\n`
        const answers = (text: string): number => text.split('HTTP/1.1 ').length - 1
        const text = await exchange(target, first + rest + hidden, (so) => answers(so) > 1)
        return answers(text) > 1
      },
    ),
  weakness: { lenient: true },
}

const inflate: Attack<Address> = {
  name: 'decompression: a few bytes become more than a request may have',
  async attempt(target) {
    const body = gzipSync(job('inflated', 'x'.repeat(900_000)))
    const deep = { 'content-encoding': 'gzip, gzip' }
    return any(
      [{ 'content-encoding': 'gzip' }, { 'content-encoding': 'GZIP' }, deep] as Record<string, string>[],
      async (headers) => {
        const bytes = headers === deep ? gzipSync(body) : body
        const sent = { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body: bytes }
        return (await send(target, '/api/jobs', sent)).status === 202
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

/** Attacks that need only the address of a server. */
export const REQUESTS: readonly Attack<Address>[] = [
  ...[forge, eavesdrop, rebind, disguise, inject, traverse, smuggle, inflate, swell],
]
