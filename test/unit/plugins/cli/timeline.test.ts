import { stripVTControlCharacters } from 'node:util'
import { expect, it } from 'vitest'
import type { StoredEvent } from '../../../../kernel/index.ts'
import { createTimeline, formatDuration } from '../../../../plugins/integrations/cli/timeline.ts'

it.each([
  [12, '12 ms'],
  [3400, '3.4 s'],
  [125_000, '2 min 5 s'],
  [180_000, '3 min'],
  [179_700, '3 min'],
  [12_000_000, '3 h 20 min'],
  [7_200_000, '2 h'],
])('%i ms are shown as %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

it('the code of a Python frame is a line of its own', () => {
  const stack =
    'Traceback (most recent call last):\n  File "/shop/train.py", line 3, in train\n    range(epochs)\nTypeError: no'
  const event = { type: 'step.failed', data: { error: { name: 'TypeError', message: 'no', stack } } } as StoredEvent
  const lines = createTimeline({}).frames(event).map(stripVTControlCharacters)
  expect(lines).toEqual(['  File "/shop/train.py", line 3, in train', '    range(epochs)'])
})
