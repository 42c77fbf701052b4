import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { join } from 'pathe'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')

it('loads TypeScript in plain Node, including syntax that type stripping rejects, and runs a file that throws only once', async () => {
  const script = `
    import { createKernel } from 'nuxt-queue'
    const reports = []
    const reporter = { warn() {}, error: (message) => reports.push(message) }
    const registry = { rootDir: ${JSON.stringify(join(root, 'test/fixtures/loading'))}, dirs: ['.'] }
    const kernel = await createKernel({ preset: 'dev', reporter, config: { registry } })
    await kernel.start()
    const run = async (id) => kernel.result(await kernel.enqueue(id))
    const results = [await run('with-enum'), await run('extensionless')]
    console.log(JSON.stringify({ results, reports }))
    await kernel.close()
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { cwd: root })
  const [first, last, ...rest] = stdout.trim().split('\n')
  expect([first, rest]).toEqual(['loaded', []])
  expect(JSON.parse(last!)).toEqual({
    results: ['S', 'found without an extension'],
    reports: [
      expect.stringMatching(/helper\.ts is skipped: .*no default export/),
      expect.stringMatching(/throws-once\.ts is skipped: .*at load time/),
    ],
  })
})
