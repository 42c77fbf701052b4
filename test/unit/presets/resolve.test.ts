import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createKernel, definePlugin, definePreset, QueueError } from '../../../index.ts'
import { dev, loadQueueConfig, presetName, resolveConfig, resolvePreset } from '../../../presets/index.ts'
import { configFromEnv } from '../../../presets/env.ts'

const production = { production: true }

describe('choosing a preset', () => {
  it.each([
    ['what is named', { preset: 'test', adapter: 'redis' }, { env: {} }, 'test'],
    ['the adapter', { adapter: 'memory' }, { env: {} }, 'dev'],
    [
      'the adapter, also in production',
      { adapter: 'file' },
      { env: { REDIS_URL: 'redis://x' }, ...production },
      'dev-file',
    ],
    ['redis as adapter', { adapter: 'redis' }, { env: {} }, 'prod-redis'],
    ['postgres as adapter', { adapter: 'postgres' }, { env: {} }, 'prod-postgres'],
    ['dev in development', {}, { env: { REDIS_URL: 'redis://x' }, production: false }, 'dev'],
    [
      'REDIS_URL in production',
      {},
      { env: { REDIS_URL: 'redis://x', DATABASE_URL: 'postgres://x' }, ...production },
      'prod-redis',
    ],
    ['DATABASE_URL in production', {}, { env: { DATABASE_URL: 'postgres://x' }, ...production }, 'prod-postgres'],
    ['production by NODE_ENV', {}, { env: { NODE_ENV: 'production', DATABASE_URL: 'postgres://x' } }, 'prod-postgres'],
  ])('goes by %s', (_what, choice, environment, name) => {
    expect(presetName(choice, environment)).toBe(name)
  })

  it('says what to set when production names nothing', async () => {
    await expect(resolvePreset({}, { env: {}, ...production })).rejects.toThrow(/Set REDIS_URL or DATABASE_URL/)
  })

  it('lists what there is when a name is unknown', async () => {
    await expect(resolvePreset({ preset: 'devel' })).rejects.toThrow(
      /no preset "devel". There are: dev, dev-file, .*test\./,
    )
    await expect(resolvePreset({ adapter: 'mongo' })).rejects.toThrow(
      /no adapter "mongo". There are: memory, file, redis, postgres\./,
    )
    await expect(resolvePreset({ preset: 'toString' })).rejects.toThrow(QueueError)
  })

  it('takes a preset of your own', async () => {
    const mine = definePreset({ name: 'mine', extends: dev })
    expect(await resolvePreset({ preset: mine })).toBe(mine)
    expect((await resolveConfig({ preset: mine }, { env: {} })).preset).toBe(mine)
  })
})

describe('a development adapter in production', () => {
  afterEach(() => vi.unstubAllEnvs())

  it.each([
    ['production', 1],
    ['development', 0],
  ])('chosen on purpose, in %s', async (env, warnings) => {
    vi.stubEnv('NODE_ENV', env)
    const warn = vi.fn<(message: string) => void>()
    const kernel = await createKernel({ preset: 'test', reporter: { warn, error: () => {} } })
    await kernel.close()
    expect(warn).toHaveBeenCalledTimes(warnings)
  })
})

describe('configuration', () => {
  it('refuses a key that nothing takes and lists those there are', async () => {
    await expect(resolveConfig({ memroy: {} }, { env: {} })).rejects.toThrow(
      /unknown key "memroy". There are: preset, adapter, plugins, jobs[^]*memory/,
    )
  })

  it('keeps sections of adapters that are not in use out of the kernel', async () => {
    const { config } = await resolveConfig({ redis: { url: 'redis://x' }, memory: { maxQueueSize: 5 } }, { env: {} })
    expect(config).toEqual({ memory: { maxQueueSize: 5 } })
  })

  it('takes sections of your own plugins', async () => {
    const mine = definePlugin({ name: 'mine', setup() {} })
    expect((await resolveConfig({ plugins: [mine], mine: { a: 1 } }, { env: {} })).config).toEqual({ mine: { a: 1 } })
  })

  it('reads variables by section and key', () => {
    const env = {
      NUXT_QUEUE_PRESET: 'test',
      NUXT_QUEUE_PAYLOAD_LIMIT: '10',
      NUXT_QUEUE_MEMORY_MAX_QUEUE_SIZE: '7',
      NUXT_QUEUE_RETENTION_COMPLETED_AGE: '5000',
      NUXT_QUEUE_JOB_OPTIONS_X: 'text',
      NUXT_QUEUE_EMPTY: '',
      OTHER: '1',
    }
    expect(configFromEnv(env, ['memory', 'retention', 'job-options'])).toEqual({
      preset: 'test',
      payloadLimit: 10,
      memory: { maxQueueSize: 7 },
      retention: { completed: { age: 5000 } },
      'job-options': { x: 'text' },
    })
  })

  it('lets a variable choose the adapter over what is configured', async () => {
    const { preset } = await resolveConfig({ preset: 'test' }, { env: { NUXT_QUEUE_ADAPTER: 'memory' } })
    expect(preset).toBe(dev)
  })

  it('is loaded from nuxt-queue.config.ts', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
    await writeFile(
      join(folder, 'nuxt-queue.config.ts'),
      `export default { adapter: 'memory' as const, jobs: { attempts: 4 } }`,
    )
    const config = await loadQueueConfig({ cwd: folder, overrides: { jobs: { priority: 2 } } })
    expect(config).toMatchObject({ adapter: 'memory', jobs: { attempts: 4, priority: 2 } })
    await rm(folder, { recursive: true })
  })

  it('reaches a kernel by the name of its preset', async () => {
    const kernel = await createKernel({ preset: 'test', config: { jobs: { attempts: 2 } } })
    expect(kernel.config.jobs.attempts).toBe(2)
    expect(kernel.port('queue').capabilities.durable).toBe(false)
    await kernel.close()
    await expect(createKernel({ preset: 'prod-mongo' })).rejects.toThrow(/There are: dev, dev-file, .*test/)
  })
})
