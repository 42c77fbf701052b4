// One build for each configuration of the documentation. `npm test` builds one application for all of them.
import { join } from 'pathe'
import { afterAll, expect, it } from 'vitest'
import { sharedPostgres } from '../../services/postgres.ts'
import { sharedRedis } from '../../services/redis.ts'
import { createApp, type App } from './app.ts'
import { checkBuilt, clientCode, CONFIGS, files, PLAIN, TIMEOUT } from './examples.ts'
import { addedWarnings } from './warnings.ts'

const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
afterAll(() => Promise.all([redis.stop(), postgres.stop()]))

/** The output of a build of the page without the module. Built once. */
let plain: Promise<string> | undefined
function plainBuild(): Promise<string> {
  plain ??= createApp('plain', PLAIN).then((app) => app.build())
  return plain
}

it.each([
  // The folder is relative to the working directory of the server, which is arbitrary here.
  ['file', ({ folder }: App) => ({ NUXT_QUEUE_FILE_PATH: join(folder, '.nuxt-queue') })],
  ['redis', () => ({ REDIS_URL: redis.url })],
  ['postgres', () => ({ DATABASE_URL: postgres.url })],
] as const)(
  '%s: an application built with the configuration of the documentation runs jobs in all languages',
  async (name, env) => {
    const app = await createApp(name, files(CONFIGS[name]))
    expect(await addedWarnings(await app.build(), plainBuild)).toEqual([])
    await checkBuilt(app, env(app))
    expect(await clientCode(app)).not.toContain('hello ')
  },
  TIMEOUT,
)
