import { expect } from 'vitest'
import { REQUESTS } from '../../security/attacks/requests.ts'
import { job, send } from '../../security/attacks/send.ts'
import type { Server } from './app.ts'

/**
 * Sends all attacks that need only an address to a built server, as a user who is logged in and as
 * a stranger. Its `authorize` allows the cookie of `targets.ts`, and it has a worker `echo`.
 *
 * @param base the path below which the interface is, without the last slash
 */
export async function standsAttacks({ url, output }: Server, base: string): Promise<void> {
  const target = { port: Number(new URL(url).port), base }
  const headers = { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin' }
  const own = { method: 'POST', headers, body: job('own', 'x') }
  expect(await send(target, '/api/jobs', own)).toMatchObject({ status: 202 })
  expect(await send(target, '/api/queues', { headers: { cookie: '' } })).toMatchObject({ status: 403 })
  const succeeded: string[] = []
  for (const { name, attempt } of REQUESTS) if (await attempt(target)) succeeded.push(name)
  expect(succeeded, output()).toEqual([])
}
