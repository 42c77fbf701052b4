import { describe, expect, it } from 'vitest'
import type { Job, Run, RunEvent } from '../../../plugins/integrations/dashboard/app/api/types.ts'
import { formatDuration, formatRelative, formatTick } from '../../../plugins/integrations/dashboard/app/lib/format.ts'
import { barsOf, ganttRows, ticksOf } from '../../../plugins/integrations/dashboard/app/lib/gantt.ts'
import { layoutGraph } from '../../../plugins/integrations/dashboard/app/lib/graph.ts'
import { jobSpans, totalsOf } from '../../../plugins/integrations/dashboard/app/lib/job-times.ts'
import { placeOf, subjectOf } from '../../../plugins/integrations/dashboard/app/lib/audit.ts'
import { chosenOf, shownColumns, textOfChosen } from '../../../plugins/integrations/dashboard/app/lib/job-columns.ts'
import { bodyOfFilter, textOfFilter } from '../../../plugins/integrations/dashboard/app/lib/job-filter.ts'
import {
  settledOf,
  throughputOf,
  totalOf,
  trendsOf,
  type Point,
} from '../../../plugins/integrations/dashboard/app/lib/series.ts'
import { delayOf, momentOf } from '../../../plugins/integrations/dashboard/app/lib/moments.ts'
import { runAt, upTo } from '../../../plugins/integrations/dashboard/app/lib/run-at.ts'
import { diffState, stateOf } from '../../../plugins/integrations/dashboard/app/lib/state-diff.ts'
import { findTrouble } from '../../../plugins/integrations/dashboard/app/lib/trouble.ts'
import { foldTimeline } from '../../../plugins/observability/lib/fold-timeline.ts'

const event = (seq: number, type: string, rest: Partial<RunEvent> = {}): RunEvent => ({
  ...{ id: `r:${seq}`, runId: 'r', seq, ts: seq * 100, type },
  ...rest,
})
const run: Run = {
  runId: 'r',
  name: 'order',
  flow: 'order',
  status: 'failed',
  startedAt: 100,
  updatedAt: 900,
  endedAt: 900,
  head: 9,
}
const EVENTS = [
  event(1, 'flow.started', { stepId: 'a', data: { step: 'place', input: { id: 1 } } }),
  event(2, 'step.started', { stepId: 'a', step: 'place' }),
  event(3, 'state.set', { data: { key: 'status', value: 'placed' } }),
  event(4, 'step.completed', { stepId: 'a', step: 'place' }),
  event(5, 'step.queued', { stepId: 'b', step: 'charge' }),
  event(6, 'step.started', { stepId: 'b', step: 'charge' }),
  event(7, 'step.retry', {
    stepId: 'b',
    step: 'charge',
    data: { error: { name: 'Error', message: 'no' }, runAt: 800 },
  }),
  event(8, 'step.started', { stepId: 'b', step: 'charge', attempt: 2 }),
  event(9, 'flow.failed', { data: { error: { name: 'Error', message: 'no' } } }),
]

describe('a run at an earlier moment', () => {
  it('has the status, the events and the state of that moment', () => {
    expect(runAt(run, EVENTS)).toBe(run)
    const past = runAt(run, upTo(EVENTS, 4))
    expect(past).toMatchObject({ status: 'running', updatedAt: 400, head: 4 })
    expect(past).not.toHaveProperty('endedAt')
    expect(stateOf(upTo(EVENTS, 2))).toEqual({})
    expect(stateOf(upTo(EVENTS, 3))).toEqual({ status: 'placed' })
    expect(
      foldTimeline(past as never, upTo(EVENTS, 4) as never).jobs.map(({ step, status }) => [step, status]),
    ).toEqual([['place', 'completed']])
  })

  it('shows added, changed and removed members', () => {
    expect(diffState({ same: [1], old: 1, gone: true }, { same: [1], old: 2, ['__proto__x']: 'new' })).toEqual([
      { key: '__proto__x', kind: 'added', after: 'new' },
      { key: 'gone', kind: 'removed', before: true },
      { key: 'old', kind: 'changed', before: 1, after: 2 },
    ])
  })
})

describe('the rows of a timeline', () => {
  const { jobs } = foldTimeline(run, EVENTS)

  it('have a bar for each attempt and for the time around it', () => {
    expect(barsOf(jobs[1]!, 900).map(({ state, idle, from, to }) => [state, idle, from, to])).toEqual([
      ['waiting', true, 500, 600],
      ['failed', false, 600, 700],
      ['held', true, 700, 800],
      ['running', false, 800, 900],
    ])
  })

  it('fold the jobs of a step into a group until it is opened', () => {
    const many = [1, 2, 3].map((index) => ({ ...jobs[0]!, jobId: `j${index}`, step: 'item' }))
    many[1]!.status = 'failed'
    const [group, ...others] = ganttRows(many, new Set(), 900)
    expect(group).toMatchObject({ label: 'item', hint: '3 of 3', status: 'failed', open: false })
    expect(others).toEqual([])
    expect(ganttRows(many, new Set(['item']), 900).map(({ depth, label }) => [depth, label])).toEqual([
      [0, 'item'],
      [1, '#1'],
      [1, '#2'],
      [1, '#3'],
    ])
  })

  it('have an axis with few round moments, for any length', () => {
    expect(ticksOf(2400)).toEqual([0, 500, 1000, 1500, 2000])
    for (const duration of [1, 999, 61_000, 86_400_000, 400 * 86_400_000]) {
      expect(ticksOf(duration).length).toBeLessThanOrEqual(7)
    }
  })

  it('are also the nodes of a graph, with the events between them', () => {
    const steps = [
      { step: 'place', worker: 'place', queue: 'q', role: 'entry' as const, emits: ['placed'] },
      { step: 'charge', worker: 'charge', queue: 'q', role: 'step' as const, subscribes: 'placed' },
    ]
    const { nodes, edges } = layoutGraph(steps, jobs)
    expect(nodes.map(({ step, status, jobs: count }) => [step, status, count])).toEqual([
      ['place', 'completed', 1],
      ['charge', 'running', 1],
    ])
    expect(edges).toMatchObject([{ event: 'placed', count: 0 }])
    expect(nodes[0]!.x).toBeLessThan(nodes[1]!.x)
  })
})

describe('the life of a job', () => {
  const job = {
    ...{ id: 'b', queue: 'q', name: 'charge', runId: 'r', state: 'completed', priority: 0 },
    ...{ createdAt: 100, runAt: 100, attemptsMade: 1, crashes: 0, finishedAt: 1000, options: { delay: 200 } },
    ...{ data: {}, claims: 2, round: 0 },
  } as Job

  it('is split into the time in each state, which adds up', () => {
    const attempts = [
      { attempt: 1, startedAt: 400, endedAt: 500, outcome: 'failed' as const },
      { attempt: 2, startedAt: 800, endedAt: 1000, outcome: 'completed' as const },
    ]
    const spans = jobSpans(job, { attempts } as never, 5000)
    expect(totalsOf(spans).map(({ label, ms }) => [label, ms])).toEqual([
      ['Delayed', 200],
      ['Waited for a worker', 100],
      ['Ran', 300],
      ['Between attempts', 300],
    ])
    expect(totalsOf(spans).reduce((sum, { ms }) => sum + ms, 0)).toBe(900)
  })
})

describe('texts for people', () => {
  it.each([
    [0, '0 ms'],
    [420, '420 ms'],
    [1380, '1.38 s'],
    [27_485, '27.4 s'],
    [192_000, '3 m 12 s'],
    [7_500_000, '2 h 5 m'],
    [273_600_000, '3 d 4 h'],
  ])('show %i ms as %s', (ms, text) => expect(formatDuration(ms)).toBe(text))

  it('show moments relative to now, and ticks without zeros', () => {
    expect([0, 12_000, -180_000].map((ago) => formatRelative(1e12 - ago, 1e12))).toEqual(['now', '12 s ago', 'in 3 m'])
    expect([500, 1500, 2000, 30_000].map(formatTick)).toEqual(['500 ms', '1.5 s', '2 s', '30 s'])
  })

  it('are read as moments', () => {
    expect(momentOf('1h', 7_200_000)).toBe(3_600_000)
    expect(momentOf('2026-01-31')).toBe(Date.parse('2026-01-31'))
    expect(momentOf('soon')).toBe(undefined)
    expect(delayOf('10m')).toBe(600_000)
    expect(delayOf('2026-01-31T00:00:00Z')).toBe('2026-01-31T00:00:00.000Z')
    expect(() => delayOf('soon')).toThrow(/duration/)
  })
})

it('names queues in trouble', () => {
  const none = { waiting: 0, delayed: 0, active: 0, completed: 9, failed: 0, cancelled: 0 }
  const queues = [
    { name: 'fine', paused: false, counts: none },
    { name: 'alone', paused: false, counts: { ...none, waiting: 2 }, oldest: 7 },
    { name: 'held', paused: true, counts: { ...none, failed: 1 } },
  ]
  const trouble = findTrouble(queues, [])
  expect(trouble.map(({ oldest }) => oldest)).toEqual([7, undefined, undefined])
  const found = trouble.map(({ queue, text }) => `${queue}: ${text}`)
  expect(found).toEqual([
    'alone: No process has a worker for it, and 2 jobs wait.',
    'held: It is paused.',
    'held: 1 job has failed.',
  ])
})

describe('lists', () => {
  it('keep the chosen columns in their order and in the address', () => {
    expect(shownColumns(chosenOf(undefined)).map(({ key }) => key)).toEqual([
      ...['state', 'job', 'queue', 'failures', 'took', 'when'],
    ])
    expect(shownColumns(chosenOf('created,queue,other')).map(({ key }) => key)).toEqual([
      ...['state', 'job', 'queue', 'created', 'when'],
    ])
    expect(textOfChosen(['queue', 'failures', 'took'])).toBe(undefined)
    expect([textOfChosen(['queue']), textOfChosen([])]).toEqual(['queue', 'none'])
    expect(chosenOf('none').size).toBe(0)
  })

  it('have a filter that is the same in an address and in the body of a request', () => {
    const filter = bodyOfFilter({
      queue: 'mail',
      state: 'failed,delayed',
      'data.customer.id': '7',
      createdAfter: '1000000000000',
    })
    expect(filter).toEqual({
      queue: 'mail',
      states: ['failed', 'delayed'],
      data: { 'customer.id': '7' },
      createdAfter: 1_000_000_000_000,
    })
    expect(textOfFilter({ queue: 'mail', states: ['failed', 'delayed'] })).toBe('queue mail, state failed or delayed')
  })

  it('show the trend of each queue', () => {
    const counts = { started: 0, completed: 5, failed: 2, retried: 0, expired: 1 }
    const point = { ts: 0, ...counts, wait: {} as never, run: {} as never }
    const trends = trendsOf({ step: 120_000, series: [], queues: [{ queue: 'mail', series: [point, point] }] })
    expect(trends.get('mail')).toEqual({ completed: [5, 5], failed: [2, 2], perMinute: 3.5 })
    expect(trendsOf(undefined).size).toBe(0)
    expect(totalOf({ step: 1, series: [point, point] })).toEqual({ completed: 10, failed: 4, retried: 0, expired: 2 })
  })

  it('show no rate of a period that has only begun', () => {
    const at = (ts: number) => ({ ts, started: 0, completed: 5, failed: 1, retried: 0 }) as Point
    const ratesOf = (step: number, now: number) => throughputOf(settledOf({ step, series: [at(0), at(step)] }, now))[1]
    expect(ratesOf(10_000, 20_000)).toEqual([30])
    expect(ratesOf(10_000, 30_000)).toEqual([30, 30])
    expect(ratesOf(600_000, 700_000)).toEqual([0.5])
    expect(ratesOf(600_000, 900_000)).toEqual([0.5, 1])
  })

  it('name the subject of an action, and link to it', () => {
    const entry = { at: 0, action: 'jobs.retry', route: 'retryJob', outcome: 'done', status: 200 }
    expect(subjectOf({ ...entry, subject: { queue: 'mail', runId: 'r' } })).toBe('queue mail, run r')
    expect(placeOf({ ...entry, subject: { queue: 'mail', job: '1' } })).toMatchObject({ name: 'job' })
    expect(placeOf({ ...entry, subject: { runId: 'r' } })).toMatchObject({ name: 'run' })
    expect(placeOf({ ...entry, subject: { schedule: 's' } })).toMatchObject({ query: { schedule: 's' } })
    expect(placeOf({ ...entry, subject: { flow: 'f' } })).toBe(undefined)
  })
})
