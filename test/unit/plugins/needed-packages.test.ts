import { expect, it } from 'vitest'
import { missingPackages } from '../../../plugins/integrations/lib/nitro/needed-packages.ts'

const EMPTY = '/nowhere'

it.each([
  [{ adapter: 'redis' }, {}, 'The store "redis" needs packages that are not installed. Run: npm'],
  [{ adapter: 'redis' }, { NUXT_QUEUE_ADAPTER: 'postgres' }, 'The store "postgres" needs packages'],
  [{}, {}, 'bullmq ioredis for Redis, or npm'],
])(
  'a build with %j and %j names the packages that the server will need, and says that a new build is needed',
  (store, env, text) => {
    const warning = missingPackages({ ...store, hasConfigFile: false }, EMPTY, env)
    expect(warning).toContain(text)
    expect(warning).toContain('Build the server again after that')
  },
)

it('a build whose store the server decides, or needs no packages, warns of nothing', () => {
  expect(missingPackages({ hasConfigFile: true }, EMPTY, {})).toBeUndefined()
  expect(missingPackages({ adapter: 'file', hasConfigFile: false }, EMPTY, {})).toBeUndefined()
  expect(missingPackages({ adapter: 'redis', hasConfigFile: false }, import.meta.dirname, {})).toBeUndefined()
})
