import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { createNitro, type Nitro } from 'nitropack/core'
import { join } from 'pathe'
import { afterAll, expect, it } from 'vitest'
import type { KernelConfig } from '../../../kernel/index.ts'
import { createNitroModule } from '../../../plugins/integrations/nitro/index.ts'

const rootDir = await mkdtemp(join(tmpdir(), 'nuxt-queue-presets-'))
const opened: Nitro[] = []
afterAll(async () => {
  await Promise.all(opened.map((nitro) => nitro.close()))
  await rm(rootDir, { recursive: true, force: true })
})

/** Returns why an application cannot be built for a preset. Here, the last check refuses a package that is linked. */
async function refusal(preset: string, queue: KernelConfig = {}): Promise<unknown> {
  const nitro = await createNitro({ rootDir, preset, logLevel: 0, compatibilityDate: '2026-01-01' })
  opened.push(nitro)
  return createNitroModule({ queue })
    .setup(nitro)
    .catch((error: unknown) => error)
}

it.each(['cloudflare-module', 'vercel-edge', 'netlify-edge', 'deno-server', 'winterjs'])(
  'the preset %s is refused at build, because it does not run in Node',
  async (preset) => {
    expect(await refusal(preset, { worker: false })).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/does not run in Node.*node-server/),
    })
  },
)

it.each(['vercel', 'netlify', 'aws-lambda', 'azure-functions', 'firebase'])(
  'the preset %s, which makes a function, may enqueue jobs but not run them',
  async (preset) => {
    expect(await refusal(preset)).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/builds a function.*worker: false/),
    })
    expect(await refusal(preset, { worker: false })).toMatchObject({
      message: expect.stringContaining('is linked'),
    })
  },
)

it.each(['node-server', 'node-cluster', 'bun', 'heroku'])('the preset %s is a server', async (preset) => {
  expect(await refusal(preset)).toMatchObject({ message: expect.stringContaining('is linked') })
})
