import { describe, expect, it } from 'vitest'
import { createTestKernel } from '../../testing/index.ts'
import { serve } from '../unit/http/rig.ts'

const TOKEN = 'a-token-of-enough-letters'
const READER = 'a-reader-of-enough-letters'
const workers = { hello: () => 'hello' }
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
const sending = (token: string, body: unknown) => ({
  method: 'POST',
  headers: { ...bearer(token).headers, 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

describe('http.token', () => {
  it.each([true, false])('admits callers with the token and no others, production: %s', async (production) => {
    await using rig = await serve({ production, token: TOKEN }, { workers })
    expect(await rig.ask('queues', bearer(TOKEN))).toMatchObject({ status: 200 })
    expect(await rig.ask('jobs', sending(TOKEN, { worker: 'hello' }))).toMatchObject({ status: 202 })
    for (const wrong of ['', 'undefined', 'null', TOKEN.slice(1), `${TOKEN}x`, TOKEN.toUpperCase()]) {
      const answer = await rig.ask('queues', bearer(wrong))
      expect(answer).toMatchObject({ status: 401, body: { code: 'REQUEST_UNAUTHORIZED' } })
      expect(answer.headers.get('www-authenticate')).toContain('Bearer')
    }
    expect(await rig.ask('queues')).toMatchObject({ status: 401 })
  })

  it('may be one of several, or read-only', async () => {
    const token = [TOKEN, { token: READER, role: 'read' as const }]
    await using rig = await serve({ production: true, token }, { workers })
    expect(await rig.ask('runs', bearer(READER))).toMatchObject({ status: 200 })
    expect(await rig.ask('jobs', sending(READER, { worker: 'hello' }))).toMatchObject({ status: 403 })
    expect(await rig.ask('jobs', sending(TOKEN, { worker: 'hello' }))).toMatchObject({ status: 202 })
  })

  it('can be set by an environment variable', async () => {
    await using rig = await serve({ production: true, token: `${TOKEN}, read:${READER}` }, { workers })
    expect(await rig.ask('runs', bearer(READER))).toMatchObject({ status: 200 })
    expect(await rig.ask('runs', bearer(TOKEN))).toMatchObject({ status: 200 })
    expect(await rig.ask('jobs', sending(READER, { worker: 'hello' }))).toMatchObject({ status: 403 })
  })

  it('leaves requests without a token to authorize, if both are set', async () => {
    const authorize = (request: Request): boolean => request.headers.get('cookie') === 'session=ada'
    await using rig = await serve({ production: true, token: READER, authorize }, { workers })
    expect(await rig.ask('runs', { headers: { cookie: 'session=ada' } })).toMatchObject({ status: 200 })
    expect(await rig.ask('runs', bearer(READER))).toMatchObject({ status: 200 })
    expect(await rig.ask('runs')).toMatchObject({ status: 403 })
  })

  it.each<[string, object]>([
    ['is empty', { token: '' }],
    ['is too short', { token: 'short' }],
    ['is a list of none', { token: [] }],
    ['has a part that is empty', { token: `${TOKEN},` }],
    ['has a role that is unknown', { token: [{ token: TOKEN, role: 'admin' }] }],
    ['holds a space', { token: 'a token of enough letters' }],
  ])('that %s keeps the kernel from starting', async (_name, http) => {
    await expect(createTestKernel({ config: { http } })).rejects.toThrow('token')
  })

  it('shows strangers only whether the server is healthy', async () => {
    await using rig = await serve({ production: true, token: TOKEN })
    expect(await rig.ask('health')).toMatchObject({ status: 200, body: { status: 'ok', checks: {} } })
    const told = await rig.ask('health', bearer(TOKEN))
    expect(told).toMatchObject({ status: 200, body: { status: 'ok', checks: { queue: { ok: true } } } })
  })
})
