import { describe, expect, it } from 'vitest'
import { durationOf, durationText } from '../../../plugins/integrations/dashboard/app/lib/moments.ts'
import { draftOf, optionsOf } from '../../../plugins/integrations/dashboard/app/lib/schedule-draft.ts'
import { rateText, targetOf, triggerOf } from '../../../plugins/integrations/dashboard/app/lib/schedules.ts'
import type { Schedule, Trigger } from '../../../plugins/integrations/dashboard/app/lib/schedules.ts'
import { triggerDraftOf, triggerOptionsOf } from '../../../plugins/integrations/dashboard/app/lib/trigger-draft.ts'

const schedule = (options: Partial<Schedule>): Schedule => ({
  ...{ name: 'nightly', source: 'code', paused: false, removed: false, upcoming: [], recent: [] },
  ...options,
})

describe('a schedule in a form', () => {
  it('keeps options that the form does not show, and omits defaults', () => {
    for (const options of [
      { cron: '0 3 * * *', timeZone: 'Europe/Berlin', worker: 'mail/send', data: { kind: 'all' } },
      { cron: '0 3 * * *', worker: 'mail/send', headers: { tenant: 'a' }, overlap: 'skip' },
      { every: 90_000, anchor: '2026-01-01T00:00:00.000Z', flow: 'order', entry: 'import', catchUp: false },
      { at: '2026-12-24T18:00:00.000Z', flow: 'order', jitter: 300_000, catchUp: 'all', overlap: 'replace' },
    ] as const)
      expect(optionsOf(draftOf(schedule(options)), schedule(options))).toEqual(options)
    const defaults = schedule({ every: 1000, worker: 'a', overlap: 'queue', catchUp: 'last', jitter: 0 })
    expect(optionsOf(draftOf(defaults), defaults)).toEqual({ every: 1000, worker: 'a' })
  })

  it('removes the entry when the flow is removed, and uses the time zone of the reader for a new schedule', () => {
    const before = schedule({ every: 1000, flow: 'order', entry: 'import' })
    expect(optionsOf({ ...draftOf(before), target: ' refund ' }, before)).toEqual({ every: 1000, flow: 'refund' })
    const draft = { ...draftOf(undefined, 'Asia/Tokyo'), cron: ' 0 3 * * * ', target: 'mail' }
    expect(optionsOf(draft)).toEqual({ cron: '0 3 * * *', timeZone: 'Asia/Tokyo', worker: 'mail' })
  })

  it('names the fields with an invalid duration or moment', () => {
    const draft = { ...draftOf(), target: 'mail' }
    expect(() => optionsOf({ ...draft, timing: 'every', every: 'often' })).toThrow(/^Every: enter a duration/)
    expect(() => optionsOf({ ...draft, timing: 'every', every: '0s' })).toThrow(/^Every: enter a duration/)
    expect(() => optionsOf({ ...draft, cron: '* * * * *', jitter: '5' })).toThrow(/^Spread: enter a duration/)
    expect(() => optionsOf({ ...draft, timing: 'at' })).toThrow(/^Choose the date/)
  })

  it('reads and writes durations in their largest unit', () => {
    expect(['500ms', '90s', ' 10m ', '2h', '3d', '5', 'x', ''].map(durationOf)).toEqual([
      ...[500, 90_000, 600_000, 7_200_000, 259_200_000],
      ...[undefined, undefined, undefined],
    ])
    expect([1500, 90_000, 600_000, 86_400_000].map(durationText)).toEqual(['1500ms', '90s', '10m', '1d'])
  })

  it('starts a worker, a flow, or the target of a trigger', () => {
    expect(targetOf(schedule({ worker: 'mail/send' }))).toBe('mail/send')
    expect(targetOf(schedule({ flow: 'order' }))).toBe('flow order')
    expect(targetOf(schedule({ name: 'trigger:restock', worker: '_triggers/fire' }))).toBe('trigger restock')
    expect([triggerOf(schedule({ name: 'trigger:a' })), triggerOf(schedule({}))]).toEqual(['a', undefined])
  })
})

it('the form of a trigger keeps the entry of its flow and its rate limit, and reports mistakes', () => {
  const rateLimit = { limit: 100, period: 60_000 }
  const subscriptions = [{ id: 'flow:order', flow: 'order', entry: 'import' }]
  const facts = { source: 'shared' as const, paused: false, removed: false, recent: [], rateLimit }
  const saved: Trigger = { ...facts, subscriptions, name: 'paid', type: 'event', event: 'order.paid' }
  const draft = triggerDraftOf(saved)
  const options = { type: 'event', event: 'order.paid', flow: 'order', rateLimit }
  expect(triggerOptionsOf(draft, saved)).toEqual({ ...options, entry: 'import' })
  expect(triggerOptionsOf({ ...draft, limit: '', target: 'refund' }, saved)).toEqual({
    ...{ type: 'event', event: 'order.paid', flow: 'refund' },
  })
  expect(triggerOptionsOf({ ...triggerDraftOf(), type: 'manual', target: ' mail ' })).toEqual({
    ...{ type: 'manual', worker: 'mail' },
  })
  expect(() => triggerOptionsOf({ ...draft, limit: 'many' })).toThrow(/^At most:/)
  expect(() => triggerOptionsOf({ ...draft, period: 'soon' })).toThrow(/^Within:/)
  expect(rateText(saved)).toBe('100 in 1 m')
})

it('edits a saved webhook without its secret, and keeps options that the form does not have', () => {
  const drafted = { ...triggerDraftOf(), type: 'webhook', path: ' shop ', secretEnv: 'A, B', target: 'mail' } as const
  const saved = { type: 'webhook', path: 'shop', worker: 'mail' } as const
  const verify = { type: 'hmac', scheme: 'github', secretEnv: ['A', 'B'] }
  expect(triggerOptionsOf(drafted)).toEqual({ ...saved, verify })
  const view = {
    ...saved,
    name: 'shop',
    source: 'shared',
    subscriptions: [{ id: 'worker:mail', worker: 'mail' }],
  } as const
  const edit = (one: object) => {
    const trigger = { ...view, paused: false, removed: false, recent: [], verify: one } as unknown as Trigger
    return [triggerDraftOf(trigger).sender, triggerOptionsOf(triggerDraftOf(trigger), trigger)]
  }
  const reordered = { secretEnv: 'A', scheme: 'stripe', type: 'hmac' }
  expect(edit(reordered)).toEqual(['stripe', { ...saved, verify: reordered }])
  const own = { type: 'hmac', header: 'x-signature', secretEnv: 'A' }
  expect(edit(own)).toEqual(['other', { ...saved, verify: own }])
})
