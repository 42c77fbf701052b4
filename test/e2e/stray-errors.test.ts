import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { join } from 'pathe'
import { expect, it } from 'vitest'

const run = promisify(execFile)
const fixture = join(import.meta.dirname, '../fixtures/stray-errors.ts')

it.each([
  ['microtask', 'in a microtask'],
  ['rejection', 'nobody awaits this'],
  ['after-return', 'returned'],
])('an error nobody catches (%s) fails its own job at most, and the process lives', async (kind, outcome) => {
  const { stdout, stderr } = await run(process.execPath, [fixture, kind])
  expect(JSON.parse(stdout)).toEqual({ outcome, fine: 'fine' })
  expect(stderr).toContain('Job "stray"')
})

it('an error outside of a job ends the process as usual', async () => {
  const script = `
    import { createKernel } from 'nuxt-queue'
    await createKernel({ preset: 'dev', config: { registry: { dirs: [] } } })
    setTimeout(() => { throw new Error('not ours') }, 1)
    setInterval(() => {}, 1000)
  `
  const failed = run(process.execPath, ['--input-type=module', '-e', script], {
    cwd: join(import.meta.dirname, '../..'),
  })
  await expect(failed).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('not ours') })
})
