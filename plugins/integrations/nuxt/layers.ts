import { resolveAlias } from 'nuxt/kit'
import type { Nuxt } from 'nuxt/schema'
import { resolve } from 'pathe'

interface Folders {
  rootDir?: string
  srcDir?: string
  serverDir?: string
}
/** What this needs of the options, whose own type the compiler cannot follow to its end. */
interface Options extends Folders {
  alias: Record<string, string>
  _layers: readonly { cwd: string; config: Folders }[]
}

/**
 * The folders of an application and of its layers, the application first. Nuxt has `getLayerDirectories` for this,
 * but only since 4.1.
 */
export function layerFolders(nuxt: Nuxt): { root: string; server: string }[] {
  const options = nuxt.options as unknown as Options
  return options._layers.map(({ cwd, config: own }) => {
    const config = own.rootDir === options.rootDir ? options : own
    const source = config.srcDir || cwd
    const server = resolveAlias(config.serverDir || 'server', options.alias)
    return { root: config.rootDir || cwd, server: resolve(source, server) }
  })
}
