import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createKernel, definePlugin, definePreset } from '../../kernel/index.ts'
import { resolveConfig } from '../../presets/index.ts'

const jobs = fc.record(
  { attempts: fc.integer({ min: 1, max: 9 }), priority: fc.integer(), timeout: fc.integer({ min: 1, max: 1e6 }) },
  { requiredKeys: [] },
)
const core = fc.record(
  { jobs, payloadLimit: fc.integer({ min: 1 }), maxCrashes: fc.integer({ min: 1, max: 20 }), abortGrace: fc.nat() },
  { requiredKeys: [] },
)

/** The first layer that has a key decides it, at any depth. */
function merged(layers: readonly object[]): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const key of new Set(layers.flatMap((layer) => Object.keys(layer)))) {
    const values = layers.map((layer) => (layer as Record<string, unknown>)[key]).filter((value) => value !== undefined)
    out[key] = typeof values[0] === 'object' ? merged(values as object[]) : values[0]
  }
  return out
}

describe('configuration', () => {
  it('takes each key from the most specific layer that has it: user, preset, what the preset extends, defaults', async () => {
    await fc.assert(
      fc.asyncProperty(core, core, core, async (user, own, inherited) => {
        const base = definePreset({ name: 'base', config: inherited })
        const preset = definePreset({ name: 'own', extends: base, config: own })
        const before = structuredClone([user, own, inherited])
        const { config } = await createKernel({ preset, config: user })
        const defaults = {
          ...{ jobs: {}, payloadLimit: 1024 * 1024, setupTimeout: 10_000, maxCrashes: 10, abortGrace: 1000 },
          ...{ handlerGrace: 10_000, maxStuckHandlers: 10, workerWait: 600_000 },
        }
        expect(config).toEqual(merged([user, own, inherited, defaults]))
        expect([user, own, inherited]).toEqual(before)
      }),
    )
  })

  it('lets variables override everything', async () => {
    await fc.assert(
      fc.asyncProperty(core, fc.nat(), fc.integer({ min: 1, max: 9 }), async (user, limit, attempts) => {
        const env = { NUXT_QUEUE_PAYLOAD_LIMIT: String(limit), NUXT_QUEUE_JOBS_ATTEMPTS: String(attempts) }
        const { config } = await resolveConfig(user, { env })
        expect(config).toMatchObject(merged([{ payloadLimit: limit, jobs: { attempts } }, user]))
      }),
    )
  })

  it('passes each plugin its own section', async () => {
    const seen: unknown[] = []
    const options = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const
    const plugin = definePlugin({
      name: 'mine',
      configKey: 'section',
      options,
      setup: (_kernel, given) => void seen.push(given),
    })
    await createKernel({ plugins: [plugin], config: { section: { a: 1 } } })
    expect(seen).toEqual([{ a: 1 }])
  })
})
