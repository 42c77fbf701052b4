import { expect, test } from 'vitest'
import { inLongForm } from '../services/long.ts'
import { ROOT, startNode } from './processes.ts'

/** The results of the examples of the guide, on any preset. */
const OUTCOMES = {
  order: ['order A1 is on its way', 'order B2 was declined: nobody answered in time'],
  nightly: ['2026-03-28T02:00:00.000Z', '2026-03-29T01:00:00.000Z', '2026-03-30T01:00:00.000Z'],
  pages: { pages: 1000, rows: 10_000, letters: 1_213_107 },
  story: { words: 22, whole: expect.stringMatching(/^Once there was a queue .* there they were\.$/) as string },
  trip: [
    { outcome: 'Lisbon: booked, {"car":"red"}' },
    { outcome: 'Atlantis: no roads there', undone: ['room 7', 'seat 12A'] },
  ],
}

test.each(['dev', 'prod-redis', ...inLongForm('prod-postgres')])(
  'the examples of the guide run on %s',
  async (preset) => {
    const args = ['playground/examples.ts', '--preset', preset, '--json']
    const { stdout, stderr } = await startNode(args, ROOT).ended
    expect(stderr).toBe('')
    const told = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { example: string; result: unknown })
    expect(Object.fromEntries(told.map(({ example, result }) => [example, result]))).toEqual(OUTCOMES)
  },
)
