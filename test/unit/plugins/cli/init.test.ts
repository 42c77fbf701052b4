import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'pathe'
import { expect, onTestFinished, test } from 'vitest'
import { cli, cliJson } from '../../../e2e/cli-in-process.ts'

interface Printed {
  framework: string
  dryRun: boolean
  files: { file: string; action: string; reason: string }[]
  next: string[]
}

async function projectOf(files: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  const read = (file: string): Promise<string> => readFile(join(folder, file), 'utf8')
  const init = async (...args: string[]): Promise<Printed> => (await cliJson(['init', ...args], folder)) as Printed
  const all = async (): Promise<Record<string, string>> => {
    const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
    const paths = names.map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
    return Object.fromEntries(await Promise.all(paths.toSorted().map(async (path) => [path, await read(path)])))
  }
  return { folder, read, init, all }
}

const PACKAGE = (...names: string[]): string =>
  JSON.stringify({ type: 'module', dependencies: Object.fromEntries(names.map((name) => [name, '*'])) })
const actions = ({ files }: Printed): string[] => files.map(({ file, action }) => `${action} ${file}`)

test.each([
  ['node', [], ['create server/queues/hello.ts', 'create nuxt-queue.config.ts'], 'npx nuxt-queue dev'],
  ['nuxt', ['nuxt'], ['create server/queues/hello.ts', 'create nuxt.config.ts'], 'npx nuxt dev'],
  ['nitropack', ['nitropack'], ['create queues/hello.ts', 'create nitro.config.ts'], 'npx nitropack dev'],
  ['nitro', ['nitro'], ['create queues/hello.ts', 'create nitro.config.ts'], 'npx nitro dev'],
])(
  'a %s project gets a worker and a config once, and a second run changes nothing',
  async (framework, names, made, dev) => {
    const { init, all, read } = await projectOf({ 'package.json': PACKAGE(...names) })
    const planned = await init('--dry-run')
    expect(planned).toMatchObject({ framework, dryRun: true })
    expect(Object.keys(await all())).toEqual(['package.json'])
    const printed = await init()
    expect(printed).toEqual({ ...planned, dryRun: false })
    expect(actions(printed)).toEqual(made)
    expect(printed.next).toEqual([
      ['npm', 'i', 'nuxt-queue'].join(' '),
      dev,
      `npx nuxt-queue enqueue hello --data '{"name":"Ada"}' --wait`,
    ])
    expect(await read(printed.files[0]!.file)).toContain('export default defineQueueWorker(')
    const before = await all()
    expect(actions(await init())).toEqual(made.map((line) => line.replace('create', 'keep')))
    expect(await all()).toEqual(before)
  },
)

test.each([
  ['export default defineNuxtConfig({})', `export default defineNuxtConfig({ modules: ['nuxt-queue'] })`],
  [
    'export default defineNuxtConfig({\n  ssr: false,\n})',
    `export default defineNuxtConfig({\n  modules: ['nuxt-queue'],\n  ssr: false,\n})`,
  ],
  [
    `export default defineNuxtConfig({ modules: ['@nuxt/ui'] })`,
    `export default defineNuxtConfig({ modules: ['nuxt-queue', '@nuxt/ui'] })`,
  ],
  ['export default defineNuxtConfig({ modules: [] })', `export default defineNuxtConfig({ modules: ['nuxt-queue'] })`],
])('the module is added to %j, and nothing else changes', async (config, changed) => {
  const { init, read } = await projectOf({
    'package.json': PACKAGE('nuxt', 'nuxt-queue'),
    'nuxt.config.ts': config,
    'pnpm-lock.yaml': '',
  })
  const printed = await init()
  expect(actions(printed)).toContain('change nuxt.config.ts')
  expect(printed.next[0]).toMatch(/^pnpm \S+ nuxt dev$/)
  expect(await read('nuxt.config.ts')).toBe(changed)
})

test('existing files are kept: workers, a config of another shape, and lines of .gitignore', async () => {
  const files = {
    'package.json': PACKAGE('nuxt', 'nuxt-queue'),
    'nuxt.config.ts': 'const config = { modules }\nexport default config\n',
    'server/queues/mail.ts': 'export default () => {}\n',
    '.gitignore': 'node_modules',
  }
  const { folder, init, all } = await projectOf(files)
  const printed = await init()
  expect(actions(printed)).toEqual(['keep server/queues/mail.ts', 'manual nuxt.config.ts', 'change .gitignore'])
  expect(await all()).toEqual({ ...files, '.gitignore': 'node_modules\n.nuxt-queue/\n' })
  const { stdout } = await cli(['init'], folder)
  expect(stdout).toMatch(
    /^Nuxt project in .*\n +kept +server\/queues\/mail\.ts .*\n +to do +nuxt\.config\.ts +add 'nuxt-queue'/,
  )
  expect(stdout).toMatch(/Next:\n +npx nuxt dev\n +npx nuxt-queue workers\n$/)
})

test('a folder without a package.json is rejected with a hint', async () => {
  const { folder } = await projectOf({})
  expect(await cli(['init'], folder)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/npm init -y.*CONFIG_INVALID/) as string,
  })
})

test.each(['{}', '{"type":"commonjs"}'])(
  'a project of Node that is not one of ES modules learns what to change: %s',
  async (manifest) => {
    const { init, read } = await projectOf({ 'package.json': manifest })
    const reason = expect.stringContaining('npm pkg set type=module') as string
    expect((await init()).files.at(-1)).toMatchObject({ file: 'package.json', action: 'manual', reason })
    expect(await read('package.json')).toBe(manifest)
  },
)
