import { mkdir, rename, stat, writeFile } from 'node:fs/promises'
import { colors } from 'consola/utils'
import { dirname, join } from 'pathe'
import type { Output } from '../output.ts'
import { planInit, type PlannedFile } from './plan.ts'
import { detectProject, type DetectedProject } from './project.ts'
import { DATA, FRAMEWORKS, WORKER } from './templates.ts'

const DONE = { create: 'created', change: 'changed', keep: 'kept', manual: 'to do' } as const
const PLANNED = { create: 'would create', change: 'would change', keep: 'keeps', manual: 'to do' } as const

/**
 * Adds a first worker and the configuration to the project of a folder. A second run changes nothing.
 *
 * @throws QueueError `CONFIG_INVALID` for a folder without a `package.json`
 */
export async function runInit(folder: string, output: Output, { dryRun }: { dryRun: boolean }): Promise<void> {
  const project = await detectProject(folder)
  const files = await planInit(project)
  if (!dryRun) for (const file of files) await write(folder, file)
  const next = nextCommands(project, files)
  if (output.json) {
    const plain = files.map(({ file, action, reason }) => ({ file, action, reason }))
    return output.value({ framework: project.framework, dryRun, files: plain, next })
  }
  output.line(`${colors.bold(FRAMEWORKS[project.framework].title)} project in ${folder}`)
  const words = files.map(({ action }) => (dryRun ? PLANNED : DONE)[action])
  const [first, second] = [words, files.map(({ file }) => file)].map((texts) => longest(texts)) as [number, number]
  files.forEach(({ file, reason }, index) => {
    output.line(`  ${words[index]!.padEnd(first)}  ${file.padEnd(second)}  ${colors.dim(reason)}`)
  })
  output.line('')
  output.line(dryRun ? 'Nothing was written. Afterwards:' : 'Next:')
  for (const one of next) output.line(`  ${one}`)
}

async function write(folder: string, { file, action, content }: PlannedFile): Promise<void> {
  if (content === undefined) return
  const path = join(folder, file)
  await mkdir(dirname(path), { recursive: true })
  // A file that has appeared in the meantime is not overwritten.
  if (action === 'create') return writeFile(path, content, { flag: 'wx' })
  // A process that dies here leaves the old file or the new one.
  await writeFile(`${path}.part`, content, { mode: (await stat(path)).mode })
  await rename(`${path}.part`, path)
}

function nextCommands(
  { framework, installed, run, install }: DetectedProject,
  files: readonly PlannedFile[],
): string[] {
  const isNew = files.some(({ file, action }) => action === 'create' && file.endsWith(`/${WORKER}.ts`))
  return [
    ...(installed ? [] : [`${install} nuxt-queue`]),
    `${run} ${FRAMEWORKS[framework].dev}`,
    isNew ? `${run} nuxt-queue enqueue ${WORKER} --data '${DATA}' --wait` : `${run} nuxt-queue workers`,
  ]
}

function longest(texts: readonly string[]): number {
  return Math.max(...texts.map(({ length }) => length))
}
