import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { createKernel, definePlugin, definePreset, QueueError } from '../../../index.ts'
import { dev, loadQueueConfig, presetName, resolveConfig, resolvePreset } from '../../../presets/index.ts'
import type { RunContext } from '../../../kernel/index.ts'
import { CHILD_VARIABLES, jobVariables } from '../../../plugins/runtimes/lib/child-process/variables.ts'
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

  it('says what to set when production has no configuration', async () => {
    await expect(resolvePreset({}, { env: {}, ...production })).rejects.toThrow(/Set REDIS_URL or DATABASE_URL/)
  })

  it('lists the known presets for an unknown name', async () => {
    await expect(resolvePreset({ preset: 'devel' })).rejects.toThrow(
      /Unknown preset "devel"\. Did you mean "dev"\? Use one of: dev, dev-file, .*test\./,
    )
    await expect(resolvePreset({ adapter: 'mongo' })).rejects.toThrow(
      /Unknown adapter "mongo"\. Use one of: memory, file, redis, postgres\./,
    )
    await expect(resolvePreset({ adapter: 'postgre' })).rejects.toThrow(
      /Unknown adapter "postgre"\. Did you mean "postgres"\?/,
    )
    await expect(resolvePreset({ preset: 'prod-reddis' })).rejects.toThrow(/Did you mean "prod-redis"\?/)
    await expect(resolvePreset({ preset: 'toString' })).rejects.toThrow(QueueError)
  })

  it('accepts a custom preset', async () => {
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
  it('rejects an unknown key and lists the known keys', async () => {
    await expect(resolveConfig({ memroy: {} }, { env: {} })).rejects.toThrow(
      /unknown key "memroy". There are: preset, adapter, plugins, jobs[^]*memory/,
    )
  })

  it('keeps sections of adapters that are not in use out of the kernel', async () => {
    const { config } = await resolveConfig({ redis: { url: 'redis://x' }, memory: { maxQueueSize: 5 } }, { env: {} })
    expect(config).toEqual({ memory: { maxQueueSize: 5 } })
  })

  it('accepts sections of custom plugins', async () => {
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

  it('keeps text that looks like a number if the option is text', async () => {
    const options = z.strictObject({
      name: z.string().optional(),
      size: z.number().optional(),
      both: z.union([z.string(), z.number()]).optional(),
    })
    const mine = definePlugin({ name: 'mine', options, setup() {} })
    const env = {
      NUXT_QUEUE_MINE_NAME: '00123456789012345678901',
      NUXT_QUEUE_MINE_SIZE: '12',
      NUXT_QUEUE_MINE_BOTH: '7',
      NUXT_QUEUE_HTTP_TOKEN: '1234567890123456',
    }
    const { config } = await resolveConfig({ plugins: [mine] }, { env })
    expect(config).toMatchObject({
      mine: { name: env.NUXT_QUEUE_MINE_NAME, size: 12, both: 7 },
      http: { token: env.NUXT_QUEUE_HTTP_TOKEN },
    })
    const numbers = { ...env, NUXT_QUEUE_MINE_NAME: '12', NUXT_QUEUE_MINE_SIZE: 'many' }
    const second = await resolveConfig({ plugins: [mine] }, { env: numbers })
    expect(second.config).toMatchObject({ mine: { name: '12', size: 'many' } })
  })

  it('ignores variables of the application, and rejects misspelled ones', async () => {
    const own = { NUXT_QUEUE_URL: 'x', NUXT_QUEUE_PUBLIC_KEY: '1', NUXT_QUEUE_JOB_ID: '7', NUXT_QUEUE_ATTEMPT: '1' }
    expect((await resolveConfig({}, { env: own })).config).toEqual({})
    for (const variable of ['NUXT_QUEUE_PAYLOD_LIMIT', 'NUXT_QUEUE_PAYLOADLIMIT', 'NUXT_QUEUE_SETUP_TIMEOUTS']) {
      await expect(resolveConfig({}, { env: { [variable]: '1' } })).rejects.toThrow(
        `${variable} matches no setting. Did you mean`,
      )
    }
  })

  it('never reads the variables of a child process as configuration', async () => {
    const options = z.strictObject({})
    const sections = ['job', 'run', 'queue', 'fd', 'attempts'].map((name) =>
      definePlugin({ name, options, setup() {} }),
    )
    const ctx = { job: { id: '7', name: 'x', queue: 'q' }, runId: 'r', attempt: 1 } as RunContext
    const env = { NUXT_QUEUE_FD: '3', ...jobVariables(ctx) }
    expect(Object.keys(env)).toHaveLength(CHILD_VARIABLES.size)
    expect((await resolveConfig({ plugins: sections }, { env })).config).toEqual({})
  })

  it('lets a variable override the configured adapter', async () => {
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
    await expect(createKernel({ preset: 'prod-mongo' })).rejects.toThrow(/Use one of: dev, dev-file, .*test/)
  })
})
