import { readFileSync } from 'node:fs'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { defineConfig, type KernelConfig, type PluginSections } from '../../index.ts'
import type { ModuleOptions } from '../../plugins/integrations/nuxt/index.ts'
import type { NitroQueueConfig } from '../../plugins/integrations/lib/nitro/module.ts'
import { SECTIONS, sections } from '../../scripts/sections.ts'

type Any<T> = 0 extends 1 & T ? true : false

describe('the sections of the configuration', () => {
  it('are typed by the plugin that reads them, wherever the configuration is written', () => {
    // @ts-expect-error the option is `token`
    defineConfig({ http: { tokn: 'a-token-of-enough-letters' } })
    // @ts-expect-error it is a number
    const nuxt: ModuleOptions = { http: { maxBody: '1 MB' } }
    // @ts-expect-error there is no such moment
    const nitro: NitroQueueConfig = { file: { fsync: 'sometimes' } }
    defineConfig({
      http: { token: process.env.QUEUE_TOKEN, authorize: (request, { type }) => request.url === type },
      alerts: { rules: { backlog: { age: 5000 }, 'error-group': false } },
      schedules: { nightly: { cron: '0 3 * * *', worker: 'report' } },
      isolated: { resourceLimits: { maxOldGenerationSizeMb: 256 } },
      // Sections of other plugins may have any type.
      own: { any: 'thing' },
    })
    expectTypeOf([nuxt, nitro]).toExtend<KernelConfig[]>()
  })

  it('are declared for each plugin with options', async () => {
    expect(readFileSync(SECTIONS, 'utf8'), 'Run: node scripts/sections.ts').toBe(await sections())
    // A section of any type would check nothing.
    expectTypeOf<
      { [Key in keyof PluginSections]-?: Any<PluginSections[Key]> }[keyof PluginSections]
    >().toEqualTypeOf<false>()
  })
})
