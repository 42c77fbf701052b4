import { routes } from '../../../plugins/integrations/http/routes/index.ts'
import { ask, MARKUP, SECRET, type Target } from '../targets.ts'
import { any, JSON_TYPE, send, type Attack } from './send.ts'

/** The places that accept JSON, except parameters of paths. */
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
          await send(target, `/${path}`, { method: 'POST', headers: { ...JSON_TYPE, 'x-secret': SECRET }, body })
        }
      }
      for (const query of ['__proto__[polluted]=1', '__proto__.polluted=1', 'constructor[prototype][polluted]=1']) {
        await send(target, `/api/runs?${query}`)
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
    const headers = { accept: 'text/html' }
    const shown = await Promise.all(paths.map((path) => send(target, `/${path}`, { headers })))
    const page = `/wait/${await ask(target)}?${text}=${text}`
    for (const method of ['GET', 'POST', 'POST']) shown.push(await send(target, page, { method, headers }))
    return shown.some(({ head, body }) => {
      const type = /\ncontent-type: *([^\r]*)/i.exec(head)?.[1] ?? ''
      // A browser guesses the type if there is none, or if it may distrust a text type.
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

/** Returns everything that a reader sees of runs, jobs and queues, including those of plugins. */
async function readAll(target: Target): Promise<string> {
  const read = async (path: string): Promise<string> => (await send(target, `/api/${path}`)).body
  const lists = await Promise.all([read('runs?internal=true&limit=1000'), read('queues?internal=true')])
  const [{ runs }, { queues }] = lists.map((text) =>
    JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)),
  ) as [{ runs: { runId: string }[] }, { queues: { name: string }[] }]
  const ofRun = routes.filter(
    ({ method, path, stream }) => method === 'GET' && !stream && path.startsWith('runs/:runId'),
  )
  const paths = [
    ...runs.flatMap(({ runId }) => ofRun.map(({ path }) => path.replace(':runId', encodeURIComponent(runId)))),
    ...queues.map(({ name }) => `jobs?queue=${encodeURIComponent(name)}`),
  ]
  return [...lists, ...(await Promise.all(paths.map(read)))].join('\n')
}

const answer: Attack = {
  name: 'an answer by a reader: what runs and jobs show is enough to answer what they wait for',
  async attempt(target) {
    await ask(target)
    const words = new Set((await readAll(target)).match(/[\w.-]{16,}/g))
    return any([...words], async (word) => {
      const sent = { method: 'POST', headers: { cookie: '' } }
      return (await send(target, `/wait/${word}`, sent)).status === 202
    })
  },
  weakness: { indiscreet: true },
}

/** Attacks with stored data that is shown later. */
export const CONTENTS: readonly Attack[] = [pollute, script, answer]
