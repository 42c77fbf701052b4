import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { join } from 'pathe'
import { createKernel, type Kernel, type KernelConfig } from 'nuxt-queue'
import { Client } from 'pg'
import { expect } from 'vitest'
import { ROOT, startCli, startNode } from './processes.ts'

const PROCESS = join(ROOT, 'test/fixtures/live-process.ts')

export type StoreConfig = KernelConfig & { adapter: string }

export interface LiveMove {
  cwd: string
  from: StoreConfig
  to: StoreConfig
  urls: { from: string; to: string }
  /** How many jobs each of two processes enqueues in a second. */
  rate: number
  /** How often the command is killed before it may end. */
  kills?: number
  /** How many runs wait for an event before the move, and receive it after the move. The default is 2. */
  waits?: number
}

/** Opens a store in this process, without workers. */
export async function withKernel<T>(config: StoreConfig, use: (kernel: Kernel) => Promise<T>): Promise<T> {
  const kernel = await createKernel({ config: { ...config, registry: { dirs: [] } } })
  try {
    return await use(kernel)
  } finally {
    await kernel.close()
  }
}

/**
 * Moves the store of two processes that enqueue and run jobs while a third one waits for the new store, and checks that each acknowledged
 * job has run once. Returns the output of the command.
 */
export async function moveApplication({
  cwd,
  from,
  to,
  urls,
  rate,
  kills = 0,
  waits: count = 2,
}: LiveMove): Promise<string> {
  const notes = join(cwd, `notes-${from.adapter}`)
  const { retention } = from
  const shared = { redis: from.redis ?? to.redis, postgres: from.postgres ?? to.postgres, retention }
  await writeFile(join(cwd, 'nuxt-queue.config.ts'), `export default ${JSON.stringify(shared)}`)
  await writeFile(notes, '')
  const start = (config: object, enqueued: number) =>
    startNode([PROCESS, JSON.stringify(config), notes, String(enqueued)], cwd)
  const waits = Array.from({ length: count }, (_, n) => `wait-${from.adapter}-${n}`)
  const delayed = `delayed-${from.adapter}`
  await withKernel(from, async (kernel) => {
    for (const id of waits) await kernel.enqueue({ queue: 'later', name: 'later' }, id, { id })
    await kernel.enqueue({ queue: 'work', name: 'work' }, 0, { id: delayed, delay: 86_400_000 })
  })
  await using first = start(from, rate)
  await using second = start(from, rate)
  await using idle = startCli(['start'], cwd, { NUXT_QUEUE_ADAPTER: from.adapter })
  await Promise.all([first, second].map((one) => one.until(/started/)))
  await idle.until(/nuxt-queue start/)

  const args = ['migrate', '--from', urls.from, '--to', urls.to, '--live']
  for (let kill = 0; kill < kills; kill++) {
    await using killed = startCli(args, cwd)
    await Promise.race([killed.ended, setTimeout(1000 + 400 * kill)])
  }
  await using move = startCli(args, cwd)
  await Promise.race([move.until(/Copying/), move.ended])
  await using third = start({ ...to, instances: { moved: 'wait' } }, 0)
  const ended = await move.ended
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining('is in use') })
  await Promise.all([third.until(/started/), ...[first, second].map((one) => one.until(/left/))])
  expect(await Promise.all([first, second].map((one) => one.ended))).toMatchObject([{ code: 0 }, { code: 0 }])
  expect(await idle.ended).toMatchObject({ code: 1, stderr: expect.stringContaining('STORE_MOVED') })

  await withKernel(to, async (kernel) => {
    for (const id of waits) await kernel.sendEvent('answered', { id }, { key: id })
    const idsOf = async (what: string): Promise<string[]> => {
      const lines = (await readFile(notes, 'utf8')).split('\n').map((line) => line.split(' '))
      return lines.flatMap(([kind, id]) => (kind === what ? [id!] : [])).toSorted()
    }
    const expected = [...(await idsOf('ack')), ...waits].toSorted()
    await expect.poll(() => idsOf('run')).toEqual(expected)
    for (const id of expected) await kernel.result({ queue: id.startsWith('wait') ? 'later' : 'work', id })
    expect(await kernel.port('queue').getJob('work', delayed)).toMatchObject({ state: 'delayed', claims: 0 })
    expect((await kernel.countJobs({ queue: 'work' })).counts).toMatchObject({ failed: 0, cancelled: 0, waiting: 0 })
  })
  // A process that is killed is listed for three minutes, and the next move would wait for it.
  third.kill('SIGTERM')
  expect(await third.ended).toMatchObject({ code: 0 })
  return ended.stdout
}

export async function dropSchema(connectionString: string, schema: string): Promise<void> {
  const client = new Client({ connectionString })
  await client.connect()
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  await client.end()
}
