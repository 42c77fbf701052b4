import { expect, it } from 'vitest'
import { createOutage } from '../../../plugins/lib/outage.ts'

function setUp() {
  const reports: string[] = []
  const report = (message: string): void => void reports.push(message)
  const time = { now: 1000 }
  const outage = createOutage('The store', { warn: report, error: report }, () => time.now)
  return { reports, time, outage }
}

const AWAY = 'The store is unavailable. Jobs wait until it is back.'
const BACK = 'The store is back.'

it('reports an outage once and its end once, for any number of failed calls', () => {
  const { reports, time, outage } = setUp()
  for (let n = 0; n < 250; n++) {
    outage.failed(new Error('gone'))
    time.now += 100
  }
  expect(outage.active).toBe(true)
  for (let n = 0; n < 5; n++) outage.worked()
  expect(reports).toEqual([AWAY, BACK])
})

it('reports repeated short outages as one outage', () => {
  const { reports, time, outage } = setUp()
  for (let n = 0; n < 250; n++) {
    outage.failed(new Error('gone'))
    outage.worked()
    time.now += 20
  }
  expect(reports).toEqual([AWAY, BACK])
})

it('reports an outage that begins soon after another one and stays', () => {
  const { reports, time, outage } = setUp()
  outage.failed(new Error('gone'))
  outage.worked()
  time.now += 500
  outage.failed(new Error('gone'))
  expect(reports).toEqual([AWAY, BACK])
  time.now += 10_000
  outage.failed(new Error('gone'))
  outage.worked()
  expect(reports).toEqual([AWAY, BACK, AWAY, BACK])
})
