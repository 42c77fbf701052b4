// Starts an application with Nuxt's test utils, which build it. `npm test` uses no such tool.
import { readGuide } from '../../install/guide.ts'
import { expect, it } from 'vitest'
import { createApp } from './app.ts'

it('an application with the module is tested with the test utils of Nuxt', async () => {
  const { files } = await readGuide('guides/testing.md', 'A whole Nuxt application')
  const app = await createApp('test-utils', files, { install: 'tests' })
  const { code, output } = await app.script('../node_modules/vitest/vitest.mjs', { VITEST_MAX_WORKERS: '1' })
  expect(code, output).toBe(0)
  expect(output).toContain('1 passed')
})
