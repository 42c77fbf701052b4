import { expect, it } from 'vitest'
import type { ServerResponse } from 'node:http'
import { createClient } from '../../../../plugins/integrations/client/index.ts'
import { serve } from './rig.ts'

const page = (status: number) => (response: ServerResponse) =>
  void response.writeHead(status, { 'content-type': 'text/html', 'retry-after': '0' }).end('<h1>Deploying</h1>')
const json = (status: number, body: object) => (response: ServerResponse) =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))

it('repeats read requests while a deployment returns error pages, and reads the headers again each time', async () => {
  await using server = await serve(page(502), page(404), page(200), json(200, { runId: 'r' }))
  let tries = 0
  const { runs } = createClient({ baseURL: server.baseURL, headers: () => ({ authorization: `try ${++tries}` }) })
  expect(await runs.get('r')).toEqual({ runId: 'r' })
  expect(server.asked.map(({ headers }) => headers.authorization)).toEqual(['try 1', 'try 2', 'try 3', 'try 4'])
})

it('gives up after its timeout, when the server itself rejects the request, and when the caller aborts', async () => {
  await using server = await serve(page(502))
  const hasty = createClient({ baseURL: server.baseURL, patience: 0 })
  await expect(hasty.runs.get('r')).rejects.toMatchObject({ code: 'HTTP_502', status: 502 })
  expect(server.asked).toHaveLength(1)
  const aborting = new AbortController()
  const waiting = createClient({ baseURL: server.baseURL, patience: 600_000 }).runs.result('r', {
    signal: aborting.signal,
  })
  await expect.poll(() => server.asked.length).toBe(2)
  aborting.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')

  await using api = await serve(json(404, { code: 'RUN_NOT_FOUND', detail: 'There is no run.' }))
  const { runs } = createClient({ baseURL: api.baseURL, patience: 600_000 })
  await expect(runs.get('r')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' })
  expect(api.asked).toHaveLength(1)
})

it('sends requests that change something once', async () => {
  await using server = await serve(page(502))
  const { jobs } = createClient({ baseURL: server.baseURL, patience: 600_000 })
  await expect(jobs.enqueue('hello')).rejects.toMatchObject({ code: 'HTTP_502' })
  expect(server.asked).toHaveLength(1)
})
