/**
 * The types of the sections of the configuration, from the plugins that have options. `node scripts/sections.ts` writes them into
 * `presets/sections.ts`.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'pathe'
import { pluginFolders } from './entry-points.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
export const SECTIONS = join(ROOT, 'presets/sections.ts')

interface Plugin {
  name: string
  configKey?: string
  options?: unknown
}

/** Returns the content of `presets/sections.ts`. */
export async function sections(): Promise<string> {
  const members = await Promise.all(
    [...pluginFolders().values()].map(async (folder) => {
      const { default: plugin } = (await import(join(ROOT, folder, 'index.ts'))) as { default?: Plugin }
      if (plugin?.options === undefined) return []
      return [`    ${plugin.configKey ?? plugin.name}?: OptionsOf<typeof import('../${folder}/index.ts')>`]
    }),
  )
  return `// Written by scripts/sections.ts.
import type { StandardSchemaV1 } from '@standard-schema/spec'

/** What the section of a plugin takes. */
type OptionsOf<Module> = Module extends { default: { options?: StandardSchemaV1<infer Input> } } ? Input : never

declare module 'nuxt-queue/kernel' {
  interface PluginSections {
${members.flat().toSorted().join('\n')}
  }
}
`
}

if (import.meta.main) writeFileSync(SECTIONS, await sections())
