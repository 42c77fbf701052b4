import { createHmac, generateKeyPairSync, sign, timingSafeEqual } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Verify } from '../../../plugins/flow/triggers/index.ts'
import { createTestKernel } from '../../../testing/index.ts'

/** 2026-01-01T00:00:00Z, where virtual time starts, in seconds. */
const NOW = 1_767_225_600

interface Sent {
  body?: string | Uint8Array
  headers?: Record<string, string>
  query?: string
}

/** Sends one request to a webhook with this verification, and returns the status and code of the response. */
async function answerTo(verify: Verify, { body = '{}', headers, query = '' }: Sent, now = NOW): Promise<string> {
  await using test = await createTestKernel({ now: now * 1000 })
  await test.kernel.registerTrigger({ name: 't', type: 'webhook', path: 'hook', verify })
  const url = `https://example.com/_queue/triggers/hook${query}`
  const response = await test.kernel.webhooks.fetch(new Request(url, { method: 'POST', body, headers }))
  const { error } = (await response.json()) as { error?: { code: string } }
  return error ? `${response.status} ${error.code}` : String(response.status)
}

const REFUSED = '401 WEBHOOK_REFUSED'

/** See https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries. */
const GITHUB = {
  secret: "It's a Secret to Everybody",
  body: 'Hello, World!',
  signature: 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
}
/** Signed by another implementation of HMAC. */
const STRIPE = {
  secret: 'whsec_test',
  body: '{"id":"evt_1","object":"event","type":"charge.succeeded"}',
  signature: '49eeca1896ab4068b4e18448c00cfd6754f93259ac2bb44779a149e05fa7b064',
}
/** See https://api.slack.com/authentication/verifying-requests-from-slack. */
const SLACK = {
  secret: '8f742231b10e8888abcd99yyyzzz85a5',
  timestamp: 1_531_420_618,
  body:
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&' +
    'channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&' +
    'response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&' +
    'trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
  signature: 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
}

describe('GitHub', () => {
  const verify = { type: 'hmac', scheme: 'github', secret: GITHUB.secret } as const
  const headers = { 'x-hub-signature-256': GITHUB.signature }

  it('is known by its signature', async () => {
    expect(await answerTo(verify, { body: GITHUB.body, headers })).toBe('202')
  })

  it.each([
    ['another body', { body: 'Hello, World?', headers }],
    ['a body with one more byte', { body: `${GITHUB.body}\n`, headers }],
    ['no signature', { body: GITHUB.body }],
    ['an empty signature', { body: GITHUB.body, headers: { 'x-hub-signature-256': 'sha256=' } }],
    ['a shortened signature', { body: GITHUB.body, headers: { 'x-hub-signature-256': GITHUB.signature.slice(0, -1) } }],
    [
      'a signature without its prefix',
      { body: GITHUB.body, headers: { 'x-hub-signature-256': GITHUB.signature.slice(7) } },
    ],
    ['the old signature only', { body: GITHUB.body, headers: { 'x-hub-signature': 'sha1=abc' } }],
  ])('is not %s', async (_what, sent) => {
    expect(await answerTo(verify, sent)).toBe(REFUSED)
  })

  it('may change its secret while two secrets are valid, but not with a removed secret', async () => {
    const rotated = { ...verify, secret: ['new secret', GITHUB.secret] }
    expect(await answerTo(rotated, { body: GITHUB.body, headers })).toBe('202')
    expect(await answerTo({ ...verify, secret: ['new secret'] }, { body: GITHUB.body, headers })).toBe(REFUSED)
  })

  it('signs arbitrary bytes', async () => {
    const body = new Uint8Array([0xff, 0xfe, 0x00, 0x80])
    const signature = createHmac('sha256', GITHUB.secret).update(body).digest('hex')
    const sent = { body, headers: { 'x-hub-signature-256': `sha256=${signature}` } }
    expect(await answerTo(verify, sent)).toBe('202')
    expect(await answerTo(verify, { ...sent, body: new TextDecoder().decode(body) })).toBe(REFUSED)
  })
})

describe('Stripe', () => {
  const verify = { type: 'hmac', scheme: 'stripe', secret: STRIPE.secret } as const
  const sent = (header: string) => ({ body: STRIPE.body, headers: { 'stripe-signature': header } })
  const header = `t=${NOW},v1=${STRIPE.signature}`

  it('is known by one of its signatures', async () => {
    expect(await answerTo(verify, sent(header))).toBe('202')
    expect(await answerTo(verify, sent(`t=${NOW}, v1=0000, v1=${STRIPE.signature}, v0=1111`))).toBe('202')
  })

  it('is not verified by a replayed old request or by a request from the future', async () => {
    expect(await answerTo(verify, sent(header), NOW + 300)).toBe('202')
    expect(await answerTo(verify, sent(header), NOW + 301)).toBe(REFUSED)
    expect(await answerTo(verify, sent(header), NOW - 301)).toBe(REFUSED)
    expect(await answerTo({ ...verify, tolerance: 60_000 }, sent(header), NOW + 61)).toBe(REFUSED)
  })

  it.each([
    ['another timestamp', `t=${NOW + 1},v1=${STRIPE.signature}`],
    ['no timestamp', `v1=${STRIPE.signature}`],
    ['a timestamp that is none', `t=soon,v1=${STRIPE.signature}`],
    ['no signature', `t=${NOW}`],
    ['a signature of the test scheme only', `t=${NOW},v0=${STRIPE.signature}`],
    ['nothing', ''],
  ])('is not known by %s', async (_what, value) => {
    expect(await answerTo(verify, sent(value))).toBe(REFUSED)
  })

  it('names its events, so that a repeated delivery starts nothing', async () => {
    await using test = await createTestKernel()
    await test.kernel.registerTrigger({ name: 't', type: 'webhook', path: 'hook', verify })
    const deliver = async (): Promise<unknown> => {
      const url = 'https://example.com/_queue/triggers/hook'
      const headers = { 'stripe-signature': header, 'content-type': 'application/json; charset=utf-8' }
      const request = new Request(url, { method: 'POST', body: STRIPE.body, headers })
      return (await test.kernel.webhooks.fetch(request)).json()
    }
    expect(await deliver()).toEqual({ id: 'evt_1', deduplicated: false })
    expect(await deliver()).toEqual({ id: 'evt_1', deduplicated: true })
  })
})

describe('Standard Webhooks', () => {
  /** The example of the specification. */
  const SVIX = {
    secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    body: '{"test": 2432232314}',
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    at: 1_614_265_330,
    signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  }
  const verify: Verify = { type: 'standard', secret: SVIX.secret }
  const headersOf = (changes: Record<string, string> = {}): Record<string, string> => ({
    'webhook-id': SVIX.id,
    'webhook-timestamp': String(SVIX.at),
    'webhook-signature': SVIX.signature,
    ...changes,
  })
  const ask = (
    changes?: Record<string, string>,
    by: Verify = verify,
    body = SVIX.body,
    now = SVIX.at,
  ): Promise<string> => answerTo(by, { body, headers: headersOf(changes) }, now)

  it('are verified by one of several signatures, and while secrets are rotated', async () => {
    expect(await ask()).toBe('202')
    expect(await ask({ 'webhook-signature': `v1,AAAA v2,x v1a,AAAA ${SVIX.signature}` })).toBe('202')
    expect(await ask({}, { type: 'standard', secret: SVIX.secret.slice(6) })).toBe('202')
    expect(await ask({}, { type: 'standard', secret: ['whsec_AAAA', SVIX.secret] })).toBe('202')
  })

  it.each([
    ['another id', { 'webhook-id': 'msg_other' }],
    ['another timestamp', { 'webhook-timestamp': String(SVIX.at + 1) }],
    ['no timestamp', { 'webhook-timestamp': '' }],
    ['a timestamp that is none', { 'webhook-timestamp': 'soon' }],
    ['no id', { 'webhook-id': '' }],
    ['no signature', { 'webhook-signature': '' }],
    ['a signature of another version', { 'webhook-signature': SVIX.signature.replace('v1', 'v2') }],
    ['a signature without a version', { 'webhook-signature': SVIX.signature.slice(3) }],
    ['a shortened signature', { 'webhook-signature': SVIX.signature.slice(0, -5) }],
  ])('are not known by %s', async (_what, changes) => {
    expect(await ask(changes)).toBe(REFUSED)
  })

  it('are not verified with another body, another secret, or a replayed old request', async () => {
    expect(await ask({}, verify, '{}')).toBe(REFUSED)
    expect(await ask({}, { type: 'standard', secret: 'whsec_AAAA' })).toBe(REFUSED)
    expect(await ask({}, verify, SVIX.body, SVIX.at + 301)).toBe(REFUSED)
    expect(await ask({}, { ...verify, tolerance: 400_000 }, SVIX.body, SVIX.at + 301)).toBe('202')
  })

  it('may be signed with a key pair', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url')
    const by: Verify = { type: 'standard', secret: `whpk_${raw.toString('base64')}` }
    const signature = sign(null, Buffer.from(`${SVIX.id}.${SVIX.at}.${SVIX.body}`), privateKey).toString('base64')
    expect(await ask({ 'webhook-signature': `v1a,${signature}` }, by)).toBe('202')
    expect(await ask({ 'webhook-signature': `v1,${signature}` }, by)).toBe(REFUSED)
    expect(await ask({ 'webhook-signature': `v1a,${signature}` }, by, '{}')).toBe(REFUSED)
  })

  it.each(['', 'whsec_', 'whsec_not base64', 'whpk_AAAA', []])('need a secret, and reject %j', async (secret) => {
    await using test = await createTestKernel()
    const registering = test.kernel.registerTrigger({
      name: 't',
      type: 'webhook',
      path: 'hook',
      verify: { type: 'standard', secret },
    })
    await expect(registering).rejects.toMatchObject({ code: 'TRIGGER_INVALID' })
  })

  it('name their deliveries, so that a repeated delivery starts nothing', async () => {
    await using test = await createTestKernel({ now: SVIX.at * 1000 })
    await test.kernel.registerTrigger({ name: 't', type: 'webhook', path: 'hook', verify })
    const deliver = async (): Promise<unknown> => {
      const url = 'https://example.com/_queue/triggers/hook'
      const request = new Request(url, { method: 'POST', body: SVIX.body, headers: headersOf() })
      return (await test.kernel.webhooks.fetch(request)).json()
    }
    expect(await deliver()).toEqual({ id: SVIX.id, deduplicated: false })
    expect(await deliver()).toEqual({ id: SVIX.id, deduplicated: true })
  })
})

describe('a signature of another kind', () => {
  it('is verified in the format of Slack', async () => {
    const verify: Verify = {
      type: 'hmac',
      header: 'x-slack-signature',
      prefix: 'v0=',
      timestampHeader: 'x-slack-request-timestamp',
      signed: 'v0:{timestamp}:{body}',
      secret: SLACK.secret,
    }
    const headers = { 'x-slack-signature': SLACK.signature, 'x-slack-request-timestamp': String(SLACK.timestamp) }
    expect(await answerTo(verify, { body: SLACK.body, headers }, SLACK.timestamp)).toBe('202')
    expect(await answerTo(verify, { body: SLACK.body, headers }, SLACK.timestamp + 400)).toBe(REFUSED)
    const moved = { ...headers, 'x-slack-request-timestamp': String(SLACK.timestamp + 400) }
    expect(await answerTo(verify, { body: SLACK.body, headers: moved }, SLACK.timestamp + 400)).toBe(REFUSED)
  })

  it('may be in base64 and of another algorithm', async () => {
    const verify: Verify = { type: 'hmac', header: 'x-sign', secret: 's3cret', algorithm: 'sha512', encoding: 'base64' }
    const signature = '/wY0ELVsMGLfm8hUxTwcTY4CPs9lltu5knyiSAUSncKLoyEECQ0TQ/tGPLIzkfEn4Kzg635JV8iQGP5ekI3WiA=='
    expect(await answerTo(verify, { body: '{"n":1}', headers: { 'x-sign': signature } })).toBe('202')
    expect(await answerTo(verify, { body: '{"n":2}', headers: { 'x-sign': signature } })).toBe(REFUSED)
    expect(await answerTo(verify, { body: '{"n":1}', headers: { 'x-sign': signature.toLowerCase() } })).toBe(REFUSED)
  })
})

describe('other senders', () => {
  it('Svix: as https://docs.svix.com/receiving/verifying-payloads/how-manual has it, under its own names too', async () => {
    const verify: Verify = { type: 'standard', secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }
    const facts = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: '1614265330',
      signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    }
    const body = '{"test": 2432232314}'
    for (const prefix of ['svix', 'webhook']) {
      const headers = Object.fromEntries(Object.entries(facts).map(([name, value]) => [`${prefix}-${name}`, value]))
      expect(await answerTo(verify, { body, headers }, 1_614_265_330), prefix).toBe('202')
      expect(await answerTo(verify, { body: `${body} `, headers }, 1_614_265_330), prefix).toBe(REFUSED)
      const among = { ...headers, [`${prefix}-signature`]: `v1,AAAA v2,${facts.signature.slice(3)} ${facts.signature}` }
      expect(await answerTo(verify, { body, headers: among }, 1_614_265_330), prefix).toBe('202')
    }
  })

  it('Shopify: as https://shopify.dev/docs/apps/build/webhooks/subscribe/https says, over the raw body in base64', async () => {
    const verify: Verify = { type: 'hmac', header: 'x-shopify-hmac-sha256', encoding: 'base64', secret: 'hush' }
    const body = '{"id":1,"title":"ü"}'
    const headers = { 'x-shopify-hmac-sha256': createHmac('sha256', 'hush').update(body).digest('base64') }
    expect(await answerTo(verify, { body, headers })).toBe('202')
    expect(await answerTo(verify, { body: `${body} `, headers })).toBe(REFUSED)
  })

  it('Twilio: as https://www.twilio.com/docs/usage/security has it, by a function over the URL and sorted parameters', async () => {
    // The URL to which Twilio sends, even if a proxy changes it.
    const url = 'https://mycompany.com/myapp.php?foo=1&bar=2'
    const verify: Verify = ({ headers }, rawBody) => {
      const params = [...new URLSearchParams(new TextDecoder().decode(rawBody))].toSorted(([a], [b]) =>
        a < b ? -1 : 1,
      )
      const signed = createHmac('sha1', '12345')
        .update(url + params.flat().join(''))
        .digest()
      const given = Buffer.from(headers.get('x-twilio-signature') ?? '', 'base64')
      return given.length === signed.length && timingSafeEqual(given, signed)
    }
    const body = new URLSearchParams({
      CallSid: 'CA1234567890ABCDE',
      Caller: '+14158675309',
      Digits: '1234',
      From: '+14158675309',
      To: '+18005551212',
    })
    const headers = { 'x-twilio-signature': 'RSOYDt4T1cUTdK1PDd93/VVr8B8=' }
    expect(await answerTo(verify, { body: String(body), headers })).toBe('202')
    body.set('Digits', '1235')
    expect(await answerTo(verify, { body: String(body), headers })).toBe(REFUSED)
  })
})

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`

describe('a secret', () => {
  it.each<[string, Verify, Sent, Sent[]]>([
    [
      'as bearer token',
      { type: 'bearer', secret: ['old', 'new'] },
      { headers: { authorization: 'Bearer new' } },
      [{}, { headers: { authorization: 'Bearer newer' } }, { headers: { authorization: 'new' } }],
    ],
    [
      'in a header',
      { type: 'apiKey', header: 'x-api-key', secret: 'key' },
      { headers: { 'x-api-key': 'key' } },
      [{}, { headers: { 'x-api-key': 'ke' } }, { query: '?x-api-key=key' }],
    ],
    [
      'in the URL',
      { type: 'apiKey', query: 'key', secret: 'k&y' },
      { query: '?key=k%26y' },
      [{}, { query: '?key=k' }, { headers: { key: 'k&y' } }],
    ],
    [
      'as password',
      { type: 'basic', username: 'ada', secret: 'pass:word' },
      { headers: { authorization: basic('ada:pass:word') } },
      [{}, { headers: { authorization: basic('ada:') } }, { headers: { authorization: basic('eve:pass:word') } }],
    ],
  ])('counts %s', async (_where, verify, right, wrong) => {
    expect(await answerTo(verify, right)).toBe('202')
    for (const sent of wrong) expect(await answerTo(verify, sent)).toBe(REFUSED)
  })
})

describe('a function', () => {
  it('accepts only by returning true, and receives the unchanged body', async () => {
    const verify: Verify = async (request, rawBody) =>
      request.headers.get('x-length') === String(rawBody.byteLength) && (await request.text()) === 'héllo'
    expect(await answerTo(verify, { body: 'héllo', headers: { 'x-length': '6' } })).toBe('202')
    expect(await answerTo(verify, { body: 'héllo', headers: { 'x-length': '5' } })).toBe(REFUSED)
    expect(await answerTo((() => 'yes') as unknown as Verify, {})).toBe(REFUSED)
    const broken = (): boolean => {
      throw new Error('broken')
    }
    expect(await answerTo(broken, {})).toBe('500 INTERNAL')
  })
})

describe('verification', () => {
  it('accepts unverified requests only if configured explicitly', async () => {
    expect(await answerTo('none', {})).toBe('202')
  })

  it.each<[string, unknown, RegExp]>([
    ['missing', undefined, /how requests are verified/],
    ['false', false, /how requests are verified/],
    ['of an unknown type', { type: 'magic', secret: 'x' }, /verify/],
    ['without a secret', { type: 'hmac', scheme: 'github' }, /secret is missing/],
    ['with an empty secret', { type: 'bearer', secret: '' }, /secret is missing/],
    ['with no secrets', { type: 'bearer', secret: [] }, /secret is missing/],
    ['with an empty secret among others', { type: 'bearer', secret: ['x', ''] }, /secret is missing/],
    ['with scheme and header', { type: 'hmac', scheme: 'github', header: 'x', secret: 'x' }, /header/],
    ['with neither', { type: 'hmac', secret: 'x' }, /header/],
    [
      'with a timestamp that is not signed',
      { type: 'hmac', header: 'x', timestampHeader: 't', signed: '{body}', secret: 'x' },
      /proves nothing/,
    ],
    [
      'with something to fill in that there is not',
      { type: 'hmac', header: 'x', timestampHeader: 't', signed: '{id}.{timestamp}.{body}', secret: 'x' },
      /Only the placeholders \{body\} and \{timestamp\}.*type "standard"/,
    ],
    ['with a tolerance for no timestamp', { type: 'hmac', header: 'x', tolerance: 5, secret: 'x' }, /timestampHeader/],
    ['with a key nowhere', { type: 'apiKey', secret: 'x' }, /one of header and query/],
  ])('is refused at registration when it is %s', async (_what, verify, message) => {
    await using test = await createTestKernel()
    const definition = { name: 't', type: 'webhook', path: 'hook', verify: verify as Verify } as const
    const refusal = { code: 'TRIGGER_INVALID', message: expect.stringMatching(message) }
    await expect(test.kernel.registerTrigger(definition)).rejects.toMatchObject(refusal)
    expect(test.kernel.triggers()).toEqual([])
  })
})
