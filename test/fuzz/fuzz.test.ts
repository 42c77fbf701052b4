import { expect, it } from 'vitest'
import { fuzzRound } from './round.ts'

it.each([
  ['http', 300],
  ['webhooks', 300],
  ['protocol', 30],
  ['json', 3000],
])('nearly right input to %s does no harm', async (form, inputs) => {
  expect(await fuzzRound(form, 20_261_129, inputs)).toBe(inputs)
})
