import { resolveAlias } from 'nuxt/kit'
import type { Nuxt } from 'nuxt/schema'
import { resolve } from 'pathe'

interface Folders {
  rootDir?: string
  srcDir?: string
  serverDir?: string
}
/** The options that are used. The compiler cannot resolve their full type. */
interface Options extends Folders {
  alias: Record<string, string>
  _layers: readonly { cwd: string; config: Folders }[]
}

/**
 * Returns the folders of an application and of its layers, with the application first. `getLayerDirectories` of Nuxt
 * exists only since 4.1.
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
