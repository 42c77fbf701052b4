import { describe, expect, it } from 'vitest'
import { createKernel, definePlugin, type CreateKernelOptions } from '../../../index.ts'
import { workerSwitch } from '../../../plugins/integrations/lib/worker-switch.ts'

const reporter = { warn() {}, error() {} }
const NO_WORKERS = { registry: { dirs: [] } }

const failureOf = async (options: unknown): Promise<unknown> => {
  try {
    const kernel = await createKernel(options as CreateKernelOptions)
    await kernel.close()
    return 'no failure'
  } catch (error) {
    return error
  }
}

describe('createKernel', () => {
  it.each([
    ['a payload limit in words', { payloadLimit: '2MB' }],
    ['a payload limit that is no number', { payloadLimit: NaN }],
    ['no payload at all', { payloadLimit: 0 }],
    ['no crash at all', { maxCrashes: 0 }],
    ['a setup limit in words', { setupTimeout: '30s' }],
    ['a setup limit without end', { setupTimeout: Infinity }],
    ['no time to set up', { setupTimeout: 0 }],
    ['a grace that goes back', { abortGrace: -1 }],
    ['jobs that are no object', { jobs: 5 }],
    ['a switch in words', { worker: 'False' }],
  ])('refuses %s', async (_what, config) => {
    expect(await failureOf({ preset: 'dev', reporter, config: { ...NO_WORKERS, ...config } })).toMatchObject({
      code: 'CONFIG_INVALID',
    })
  })

  it('rejects an invalid limit in the environment like one in the configuration', async () => {
    process.env.NUXT_QUEUE_PAYLOAD_LIMIT = '2MB'
    try {
      expect(await failureOf({ preset: 'dev', reporter, config: NO_WORKERS })).toMatchObject({ code: 'CONFIG_INVALID' })
    } finally {
      delete process.env.NUXT_QUEUE_PAYLOAD_LIMIT
    }
  })

  it.each([
    ['plugin', 'plugins'],
    ['conf', 'config'],
    ['generateID', 'generateId'],
  ])('names the option that "%s" was probably meant to be', async (key, meant) => {
    const options = { preset: 'dev', reporter, config: NO_WORKERS, [key]: {} }
    expect(await failureOf(options)).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`Did you mean "${meant}"?`),
    })
  })

  it('suggests the section that was probably meant', async () => {
    expect(await failureOf({ preset: 'dev', reporter, config: { ...NO_WORKERS, retenton: {} } })).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('Did you mean "retention"?'),
    })
  })

  it.each([
    ['an empty preset', { preset: {} }],
    ['a preset with a typo', { preset: { name: 'mine', plugin: [] } }],
    ['a reporter that cannot warn', { preset: 'dev', reporter: { error() {} } }],
    ['an id that is no function', { preset: 'dev', generateId: 'uuid' }],
  ])('refuses %s', async (_what, options) => {
    expect(await failureOf({ config: NO_WORKERS, ...options })).toMatchObject({ code: 'CONFIG_INVALID' })
  })

  it('waits longer than the maximum of a Node timer if a plugin has such a timeout', async () => {
    const slow = definePlugin({ name: 'slow', setup: () => new Promise<void>((resolve) => setTimeout(resolve, 20)) })
    const config = { ...NO_WORKERS, setupTimeout: 2 ** 31 }
    expect(await failureOf({ preset: 'dev', reporter, plugins: [slow], config })).toBe('no failure')
  })

  it('rejects an invalid timeout of close', async () => {
    const kernel = await createKernel({ preset: 'dev', reporter, config: NO_WORKERS })
    const close = async (options: unknown): Promise<unknown> => kernel.close(options as object)
    await expect(close({ timeout: '5s' })).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    await expect(close({ timout: 5 })).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    expect(await close({ timeout: 2 ** 40 })).toEqual({ aborted: [] })
  })
})

describe('NUXT_QUEUE_WORKER', () => {
  it.each([
    ['false', false],
    ['False', false],
    ['FALSE', false],
    ['0', false],
    ['no', false],
    ['off', false],
    ['true', true],
    ['1', true],
    ['', undefined],
  ])('set to "%s" is read as %s', (value, expected) => {
    expect(workerSwitch({ NUXT_QUEUE_WORKER: value })).toBe(expected)
  })

  it('with another value is rejected', () => {
    expect(() => workerSwitch({ NUXT_QUEUE_WORKER: 'nope' })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    )
  })
})
