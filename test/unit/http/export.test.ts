import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { readHistory } from '../../../plugins/observability/lib/history.ts'
import { serve } from './rig.ts'

it('sends a long history page by page, as a file that can be imported', async () => {
  await using test = await serve({ production: false })
  const { kernel, ask } = test
  const events = Array.from({ length: 1200 }, (_, index) => ({ type: 'note', data: { index } }))
  await kernel.port('events').append('long', events, { run: { status: 'running', name: 'long' } })
  const read = vi.spyOn(kernel.port('events'), 'read')

  const { status, headers, body } = await ask('runs/long/export')
  expect([status, headers.get('content-disposition')]).toEqual([200, "attachment; filename*=UTF-8''long.jsonl"])
  expect(read.mock.calls.map(([stream, options]) => [stream, options?.after, options?.limit])).toEqual([
    ['long', 0, 500],
    ['long', 500, 500],
    ['long', 1000, 500],
  ])
  const file = join(await mkdtemp(join(tmpdir(), 'export-')), 'long.jsonl')
  await writeFile(file, body as string)
  const history = await readHistory(file)
  expect([history.run.runId, history.run.head]).toEqual(['long', 1200])
  expect(history.events.map(({ seq, data }) => [seq, data])).toEqual(events.map(({ data }, index) => [index + 1, data]))

  await kernel.port('events').snapshots.put('long', { reducer: 'test@1', seq: 600, state: {} })
  await kernel.port('events').trim('long', 600)
  expect(await ask('runs/long/export')).toMatchObject({ status: 410, body: { code: 'EVENTS_TRIMMED' } })
  expect(await ask('runs/none/export')).toMatchObject({ status: 404, body: { code: 'RUN_NOT_FOUND' } })
})
