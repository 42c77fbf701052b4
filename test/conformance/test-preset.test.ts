import { createPluginHarness, presetConformance } from 'nuxt-queue/testing/conformance'
import test from '../../presets/test.ts'

presetConformance({
  name: 'test, in virtual time',
  create: ({ reporter, config }) =>
    createPluginHarness({ plugins: test.extends!.plugins!, config: { ...test.config, ...config }, reporter }),
})
