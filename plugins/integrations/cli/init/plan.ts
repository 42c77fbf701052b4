import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'pathe'
import { filesIn, isWorkerFile } from '../../../jobs/lib/worker-files.ts'
import { addModule, hasModule } from './add-module.ts'
import type { DetectedProject } from './project.ts'
import { FRAMEWORKS, WORKER, WORKER_FILE } from './templates.ts'

/** The action of `init` on a file. `manual`: the user must change the file, and `reason` says why. */
export interface PlannedFile {
  file: string
  action: 'create' | 'change' | 'keep' | 'manual'
  reason: string
  /** The content to write. */
  content?: string
}

const IGNORED = '.nuxt-queue/'

/** Decides what to add to a project. Writes nothing. */
export async function planInit(project: DetectedProject): Promise<PlannedFile[]> {
  const planned = [await planWorker(project), await planConfig(project), await planIgnore(project), planType(project)]
  return planned.filter((file) => file !== undefined)
}

async function planWorker({ folder, framework }: DetectedProject): Promise<PlannedFile> {
  const isNitro = framework === 'nitro' || framework === 'nitropack'
  const queues = isNitro && !existsSync(join(folder, 'server')) ? 'queues' : 'server/queues'
  const root = join(folder, queues)
  const there = (await filesIn(root)).find((file) => isWorkerFile(root, file))
  if (there !== undefined) {
    return { file: there.slice(folder.length + 1), action: 'keep', reason: `${queues} already has workers` }
  }
  return { file: `${queues}/${WORKER}.ts`, action: 'create', reason: 'a first worker', content: WORKER_FILE }
}

async function planConfig({ folder, framework, configFile }: DetectedProject): Promise<PlannedFile> {
  const { config, module } = FRAMEWORKS[framework]
  if (configFile === undefined) {
    const [file, content] = config
    return { file, action: 'create', reason: module === undefined ? 'the configuration' : 'adds the module', content }
  }
  const file = configFile
  if (module === undefined) return { file, action: 'keep', reason: 'the configuration already exists' }
  const text = await readFile(join(folder, file), 'utf8')
  if (hasModule(text, module)) return { file, action: 'keep', reason: 'already has the module' }
  const content = addModule(text, module)
  if (content === undefined) return { file, action: 'manual', reason: `add '${module}' to its modules` }
  return { file, action: 'change', reason: 'adds the module', content }
}

/** Nuxt and Nitro build the files. The files of an existing project may be CommonJS, so the user decides. */
function planType({ framework, esm }: DetectedProject): PlannedFile | undefined {
  if (framework !== 'node' || esm) return undefined
  const reason = 'without "type": "module", Node warns of each worker. Run: npm pkg set type=module'
  return { file: 'package.json', action: 'manual', reason }
}

/** Commands and stores keep files in a folder that must not be in a repository. */
async function planIgnore({ folder }: DetectedProject): Promise<PlannedFile | undefined> {
  if (!(await readdir(folder)).includes('.gitignore')) return undefined
  const file = '.gitignore'
  const text = await readFile(join(folder, file), 'utf8')
  if (/^\/?\.nuxt-queue\/?$/m.test(text)) return { file, action: 'keep', reason: `has ${IGNORED} already` }
  const line = text === '' || text.endsWith('\n') ? `${IGNORED}\n` : `\n${IGNORED}\n`
  return { file, action: 'change', reason: `adds ${IGNORED}`, content: text + line }
}
