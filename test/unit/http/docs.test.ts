import { globSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { serve } from './rig.ts'

const PAGES = globSync(['README.md', 'docs/**/*.md', 'plugins/**/README.md'])
const URLS = [
  ...new Set(
    PAGES.flatMap((page) => [...readFileSync(page, 'utf8').matchAll(/\/_queue\/api\/[\w/?=&.<>${}-]*\w/g)]).map(
      ([path]) => path,
    ),
  ),
]

it('finds the URLs of the pages', () => expect(URLS.length).toBeGreaterThan(5))

it.each(URLS)('%s leads to the documented page', async (url) => {
  await using rig = await serve({}, { workers: { greet: () => 'hello' } })
  const { runId } = await rig.kernel.enqueue('greet')
  await rig.drain()
  const { status, body } = await rig.raw(url.replace(/<run>|\$\{runId\}/, runId))
  expect({ status, body }).toMatchObject({ status: 200 })
})

it.each(['live', 'live=', 'live=1', 'live=true'])('does not access the stores with ?%s', async (query) => {
  await using rig = await serve()
  expect((await rig.ask(`health?${query}`)).body).toEqual({ status: 'ok', checks: {} })
})

it.each(['', 'live=0', 'live=false'])('accesses the stores with ?%s', async (query) => {
  await using rig = await serve()
  const { body } = await rig.ask(`health?${query}`)
  expect(Object.keys((body as { checks: object }).checks)).not.toEqual([])
})
