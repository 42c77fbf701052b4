import { expect, it } from 'vitest'
import { SESSION_DURATION } from '../../../plugins/integrations/http/token.ts'
import { serve } from './rig.ts'

const TOKEN = 'a-token-of-enough-letters'
const READER = 'a-reader-of-enough-letters'
const json = { 'content-type': 'application/json' }
const signIn = (token: string) => ({ method: 'POST', headers: json, body: JSON.stringify({ token }) })

it('exchanges a token for a cookie with the same rights, until it expires', async () => {
  await using rig = await serve({ production: true, token: [TOKEN, { token: READER, role: 'read' }] })
  expect((await rig.ask('session')).body).toEqual({ signIn: true, actions: ['health.read'] })
  expect((await rig.ask('session', signIn('nobody-has-this-token'))).status).toBe(401)

  const opened = await rig.ask('session', signIn(READER))
  const [cookie, ...rest] = opened.headers.get('set-cookie')!.split('; ')
  expect(rest).toEqual(['Max-Age=43200', 'HttpOnly', 'SameSite=Strict'])
  expect(cookie).not.toContain(READER)
  const headers = { cookie: `other=1; ${cookie}` }
  expect((await rig.ask('queues', { headers })).status).toBe(200)
  expect((await rig.ask('queues/mail/pause', { method: 'POST', headers: { ...headers, ...json } })).status).toBe(403)
  const { actions } = (await rig.ask('session', { headers })).body as { actions: string[] }
  expect(actions).toContain('runs.read')
  expect(actions.filter((action) => !action.endsWith('.read'))).toEqual([])

  const [name, value] = cookie!.split('=')
  const [end, signature] = value!.split('.')
  for (const forged of [
    '',
    '.',
    `${end}.`,
    `${Number(end) + 1}.${signature}`,
    `x${end}.${signature}`,
    `${end}.${signature}x`,
  ]) {
    expect((await rig.ask('queues', { headers: { cookie: `${name}=${forged}` } })).status, forged).toBe(401)
  }
  await rig.clock.advance(SESSION_DURATION)
  expect((await rig.ask('queues', { headers })).status).toBe(401)
})

it('marks the cookie as secure over HTTPS, and removes it', async () => {
  await using rig = await serve({ production: true, token: TOKEN })
  const secure = await rig.ask('session', { ...signIn(TOKEN), headers: { ...json, 'x-forwarded-proto': 'https' } })
  expect(secure.headers.get('set-cookie')).toMatch(/; Secure$/)
  const removed = await rig.ask('session', { method: 'DELETE' })
  expect(removed.headers.get('set-cookie')).toContain('Max-Age=0')
})

it('accepts no token from forms and other sites, and none if no token is configured', async () => {
  await using rig = await serve({ production: true, token: TOKEN })
  const form = { method: 'POST', headers: { 'content-type': 'text/plain' }, body: JSON.stringify({ token: TOKEN }) }
  expect((await rig.ask('session', form)).status).toBe(415)
  const foreign = { ...signIn(TOKEN), headers: { ...json, origin: 'https://attacker.example' } }
  expect((await rig.ask('session', foreign)).status).toBe(403)
  expect((await rig.ask('session', { ...signIn(TOKEN), method: 'PUT' })).status).toBe(405)

  await using own = await serve({ production: true, authorize: () => true })
  expect((await own.ask('session', signIn(TOKEN))).status).toBe(404)
  await using closed = await serve({ production: true })
  expect((await closed.ask('session')).status).toBe(404)
})
