import { request } from 'node:http'
import { expect, it } from 'vitest'
import { serveRemote } from '../../../../plugins/integrations/cli/remote.ts'
import { openSse, serve } from '../../http/rig.ts'

const TOKEN = 'a-token-of-enough-letters'

/** The status of a request whose headers `fetch` would not send. */
function statusOf(url: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    request(url, { headers, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode!)
    })
      .on('error', reject)
      .end()
  })
}

it('forwards requests of this machine with the token, and no request of another page', async () => {
  await using rig = await serve({ production: true, token: TOKEN }, { workers: { greet: () => 'hello' } })
  const remote = await serveRemote({ url: `${rig.server.url}/_queue`, token: TOKEN, port: 0 })
  try {
    expect((await fetch(`${rig.api}queues`)).status).toBe(401)
    const queues = await fetch(`${remote.url}api/queues`)
    expect(await queues.json()).toMatchObject({ queues: [{ name: 'default' }] })
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"worker":"greet"}' }
    const enqueued = await fetch(`${remote.url}api/jobs`, init)
    expect(enqueued.status).toBe(202)
    const { runId } = (await enqueued.json()) as { runId: string }
    await rig.drain()
    await using stream = await openSse(`${remote.url}api/runs/${runId}/stream`)
    const frames = await stream.until((all) => all.some(({ kind }) => kind === 'end'))
    expect(frames.at(-1)).toMatchObject({ data: { status: 'completed' } })

    const { host } = new URL(remote.url)
    const queueUrl = `${remote.url}api/queues`
    expect(await statusOf(queueUrl, { host, origin: `http://${host}` })).toBe(200)
    expect(await statusOf(queueUrl, { host: 'attacker.example' })).toBe(403)
    expect(await statusOf(queueUrl, { host, origin: 'https://attacker.example' })).toBe(403)
    expect(await statusOf(queueUrl, { host, 'sec-fetch-site': 'cross-site' })).toBe(403)
    expect(await statusOf(`${remote.url}triggers/x`, { host })).toBe(404)
    expect(await statusOf(remote.url, { host })).toBe(302)
  } finally {
    await remote.close()
  }
})

it('shows a valid address for an invalid one', async () => {
  await expect(serveRemote({ url: 'shop', port: 0 })).rejects.toThrow('--url takes an address such as')
})
