import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from './processes.ts'

export interface Project extends AsyncDisposable {
  cwd: string
  write(file: string, content: string): Promise<void>
}

/** A folder like that of a user: workers, and the package under `node_modules`. */
export async function createProject(workers: Readonly<Record<string, string>>): Promise<Project> {
  const cwd = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
  const write = async (file: string, content: string): Promise<void> => {
    await mkdir(join(cwd, file, '..'), { recursive: true })
    await writeFile(join(cwd, file), content)
  }
  await write('package.json', '{ "type": "module" }')
  await mkdir(join(cwd, 'node_modules'))
  await symlink(ROOT, join(cwd, 'node_modules/nuxt-queue'), 'junction')
  for (const [name, source] of Object.entries(workers)) await write(`server/queues/${name}.ts`, source)
  return { cwd, write, [Symbol.asyncDispose]: () => rm(cwd, { recursive: true }) }
}

export interface Gate extends AsyncDisposable {
  /** Code that holds a handler until the gate opens. */
  pass: string
  /** Resolves once a handler waits at the gate. */
  reached: Promise<Socket>
  open(): Promise<void>
}

/** Lets a test hold a handler in another process, and know that it is held. */
export async function createGate(): Promise<Gate> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const reached = once(server, 'connection').then(([socket]) => socket as Socket)
  const connect = `(await import('node:net')).connect(${port}, '127.0.0.1')`
  return {
    pass: `await new Promise(async (resolve) => ${connect}.on('close', resolve).resume())`,
    reached,
    open: async () => void (await reached).end(),
    async [Symbol.asyncDispose]() {
      server.close()
    },
  }
}
