import { definePlugin } from 'nuxt-queue/kernel'
import { createChildHost, fileOf, hostOptions } from 'nuxt-queue/child-process'
import { runtimeConformance } from 'nuxt-queue/testing/conformance'
import { scenarioFiles } from '../fixtures/runtime/files.ts'

/** The plugin that docs/guides/add-a-language.md ends with. */
const runtimePerl = definePlugin({
  name: 'runtime-perl',
  configKey: 'perl',
  options: hostOptions,
  setup(kernel, options) {
    const children = createChildHost(kernel, options, {
      runtime: 'perl',
      launch(worker) {
        const file = fileOf(worker, 'perl')
        return { command: 'perl', args: ['-I', 'lib/perl', file], channel: 'fd', file }
      },
    })
    kernel.provide('runtime', {
      name: 'perl',
      extensions: ['.pl'],
      load: async () => ({ config: {} }),
      execute: children.execute,
    })
    return () => children.close()
  },
})

const workers = scenarioFiles('perl', 'pl', {}, ['prints'])
runtimeConformance({ name: 'runtime-perl', runtime: 'perl', plugins: [runtimePerl], workers, time: 'real' })
