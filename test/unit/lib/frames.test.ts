import { expect, it } from 'vitest'
import { ownFrames } from '../../../plugins/lib/frames.ts'

it('frames of a worker name its file as it is on the disk, also when it was loaded again', () => {
  const stack = `Error: on purpose
    at file:///shop/queues/hello.ts?v=1796066910326.677:2:84
    at send (file:///shop/lib/mail.ts?v=1796066910326:7:3)
    at process.processTicksAndRejections (node:internal/process/task_queues:104:5)`
  expect(ownFrames(stack)).toEqual([
    '    at file:///shop/queues/hello.ts:2:84',
    '    at send (file:///shop/lib/mail.ts:7:3)',
  ])
})
