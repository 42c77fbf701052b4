import { relative } from 'pathe'
import type { FoundWorkers } from './workers.ts'

/** Declares the workers, so that TypeScript completes and checks `useQueue().enqueue()`. */
export function typeDeclarations({ workers }: FoundWorkers, folder: string): string {
  const lines = workers.map(({ id, file, bundled }) => {
    const path = relative(folder, file).replace(/\.([cm]?)ts$/, '.$1js')
    return `    ${JSON.stringify(id)}: ${bundled ? `typeof import(${JSON.stringify(path)})` : 'object'}`
  })
  return `// Written by nuxt-queue from the files of the workers.
import 'nuxt-queue/nitro'
declare module 'nuxt-queue/kernel' {
  interface QueueWorkers {
${lines.join('\n')}
  }
}
`
}
