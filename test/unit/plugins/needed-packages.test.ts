import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { missingPackages, type StoreChoice } from '../../../plugins/integrations/lib/nitro/needed-packages.ts'

let root: string
const inApp = (store: Partial<StoreChoice>, env: NodeJS.ProcessEnv = {}): string | undefined =>
  missingPackages({ hasConfigFile: false, ...store }, join(root, 'app'), env)

async function install(name: string, folder = root): Promise<void> {
  await mkdir(join(folder, 'node_modules', name), { recursive: true })
  await writeFile(join(folder, 'node_modules', name, 'package.json'), '{}')
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'nuxt-queue-needed-'))
  // A workspace keeps some packages above the application.
  await install('ioredis')
  await install('pg', join(root, 'app'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

it('a build names the packages that the store of its configuration needs, and how to install them', () => {
  expect(inApp({ preset: 'prod-redis' })).toMatch(/^The store "prod-redis" needs .* npm \S+ bullmq\. Build the server/)
  expect(inApp({ adapter: 'redis' })).toMatch(/npm \S+ bullmq\./)
  expect(inApp({ adapter: 'postgres' })).toMatch(/npm \S+ pg-boss\./)
  expect(inApp({ preset: 'embedded' })).toMatch(/npm \S+ @electric-sql\/pglite pg-boss\./)
  expect(inApp({ preset: 'dev-file' })).toBeUndefined()
  expect(inApp({ preset: 'dev' }, { NUXT_QUEUE_PRESET: 'prod-postgres' })).toMatch(/npm \S+ pg-boss\./)
})

it('a build without a named store warns if no store can work, unless a file may name one', () => {
  expect(inApp({})).toMatch(/npm \S+ bullmq for Redis, or npm \S+ pg-boss for PostgreSQL/)
  expect(inApp({ hasConfigFile: true })).toBeUndefined()
  expect(inApp({ preset: [] as never })).toBeUndefined()
})

it('a build with all packages prints no warning', async () => {
  await install('bullmq')
  expect(inApp({ preset: 'prod-redis' })).toBeUndefined()
  expect(inApp({})).toBeUndefined()
})
