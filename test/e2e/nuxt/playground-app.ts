import { cp } from 'node:fs/promises'
import { join, relative } from 'pathe'
import { ROOT } from '../processes.ts'
import { createApp, type App, type AppOptions } from './app.ts'

/** Generated folders, which are not part of the playground. */
const MADE = /(?:^|\/)(?:node_modules|\.nuxt|\.output|\.nuxt-queue|__pycache__|output)(?:\/|$)/

/** A copy of the playground outside of this repository, with its Nuxt application built. */
export async function buildPlayground(onEnd: AppOptions['onEnd']): Promise<App> {
  const app = await createApp('playground', {}, { rootDir: 'nuxt', onEnd })
  const source = join(ROOT, 'playground')
  await cp(source, app.folder, { recursive: true, filter: (path) => !MADE.test(relative(source, path)) })
  const output = await app.build()
  if (/could not be resolved|circular/i.test(output)) throw new Error(`The build complains:\n${output}`)
  return app
}
