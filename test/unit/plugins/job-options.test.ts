import { expect, it } from 'vitest'
import { createKernel, definePlugin, orderPlugins } from '../../../kernel/index.ts'
import { jobOptions as httpOptions } from '../../../plugins/integrations/http/routes/job-options.ts'
import testPreset from '../../../presets/test.ts'
import { codeOf } from '../../../testing/conformance/harness.ts'

it('HTTP callers may set every job option of this package', async () => {
  let names: readonly string[] = []
  const reader = definePlugin({
    name: 'reader',
    setup(kernel) {
      names = kernel.jobOptionNames
    },
  })
  const kernel = await createKernel({ preset: testPreset, plugins: [reader] })
  await kernel.close()

  expect(Object.keys(httpOptions.shape).toSorted()).toEqual(names.toSorted())
})

it.each([
  ['debounce', { debounce: { period: 1 } }],
  ['throttle', { throttle: { period: 1 } }],
  ['unique', { unique: {} }],
  ['expiry', { expiresIn: 1 }],
  ['limits', { concurrencyKey: 'a' }],
  ['limits', { rateLimitKey: 'a' }],
  ['fairness', { fairKey: 'a' }],
])('without the plugin %s, %o is refused', async (name, options) => {
  const plugins = orderPlugins(testPreset, []).filter((plugin) => plugin.name !== name)
  const kernel = await createKernel({ plugins })
  const code = await codeOf(() => kernel.enqueue({ queue: 'q', name: 'n' }, null, options))
  await kernel.close()

  expect(code).toBe('OPTION_INVALID')
})
