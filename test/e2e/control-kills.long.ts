// Processes are killed around the writes of unique, expiresIn, onFailure and cancelOn. `npm test` fails these writes in one process.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { createKernel, type KernelConfig } from 'nuxt-queue'
import { join } from 'pathe'
import { afterAll, expect, it } from 'vitest'
import { registerWorkers, type Settings } from '../fixtures/control-process.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { ROOT, startNode } from './processes.ts'

const PROCESS = fileURLToPath(new URL('../fixtures/control-process.ts', import.meta.url))
const HOUR = 3_600_000

const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-kills-'))
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await Promise.all([redis.stop(), postgres.stop()])
})
const name = `kills_${process.pid}`
const presets: [preset: string, config: KernelConfig][] = [
  ['prod-redis', { redis: { url: redis.url, prefix: name, checkServer: false, lease: 3000 } }],
  ['prod-postgres', { postgres: { url: postgres.url, schema: name, pollInterval: 500, lease: 3000 } }],
]
/** The events that the options store, and the ends of jobs, after which they act. Each has the queues whose jobs lead to it. */
const TYPES = [
  ['step.completed', ['once']],
  ['unique.closed', []],
  ['step.failed', ['stale', 'broken']],
  ['step.cancelled', []],
] as const

it.each(presets)(
  'runs a unique job once, no expired job, each failure handler once, and no cancelled job on %s, although processes die',
  async (preset, config) => {
    const journal = join(folder, `${preset}.log`)
    writeFileSync(journal, '')
    const kernel = await createKernel({ preset, config: { registry: { dirs: [] }, ...config } })
    try {
      await registerWorkers(kernel, journal)
      for (const queue of ['once', 'stale', 'broken']) await kernel.queue(queue).pause()
      const unique = [await kernel.enqueue('once', 'a'), await kernel.enqueue('once', 'a')]
      expect(unique.map(({ deduplicated }) => deduplicated)).toEqual([false, true])
      const stale = await kernel.enqueue('stale', 's')
      const broken = await kernel.enqueue('broken', 'b')
      const open = await kernel.enqueue('open', { id: 7 }, { delay: HOUR })

      let deaths = 0
      for (const [type, queues] of TYPES) {
        for (const queue of queues) await kernel.queue(queue).resume()
        if (type === 'step.cancelled') await kernel.sendEvent('closed', null, { key: '7' })
        for (const before of [true, false]) {
          const settings: Settings = { preset, config, journal, dies: { type, before } }
          await using child = startNode([PROCESS, JSON.stringify(settings)], ROOT)
          // It dies at the point, or finds nothing left to do there. A job of the process before is claimed after its lease of 3 s.
          const idle = child
            .until(/started/)
            .then(() => new Promise<undefined>((end) => setTimeout(() => end(undefined), 6000)))
          const ended = await Promise.race([child.ended, idle])
          if (ended?.code === null) deaths++
        }
      }
      expect(deaths).toBeGreaterThan(4)
      await kernel.start()
      const settled = { timeout: 60_000 }
      await kernel.result(unique[0]!, settled)
      await expect(kernel.result(stale, settled)).rejects.toMatchObject({ code: 'JOB_EXPIRED' })
      await expect(kernel.result(broken, settled)).rejects.toThrow('broken')
      await expect(kernel.result(open, settled)).rejects.toMatchObject({ code: 'JOB_CANCELLED' })
      const lines = (): string[] => readFileSync(journal, 'utf8').trim().split('\n').toSorted()
      await expect.poll(() => lines().includes('failed b'), settled).toBe(true)
      const again = await kernel.enqueue('once', 'a')
      expect(again.deduplicated).toBe(false)
      await kernel.result(again, settled)
      expect(new Set(lines())).toEqual(new Set(['failed b', 'once a']))
      for (const [job, end] of [
        [unique[0]!, 'completed'],
        [stale, 'failed'],
        [broken, 'failed'],
        [open, 'cancelled'],
      ] as const) {
        const ends = (await kernel.port('events').read(job.runId)).filter(({ type }) =>
          /^step\.(?:completed|failed|cancelled)$/.test(type),
        )
        expect(ends.map(({ type }) => type)).toEqual([`step.${end}`])
      }
    } finally {
      await kernel.close({ timeout: 0 })
    }
  },
  300_000,
)

const POINTS = ['unique.opened', 'unique.replaced', 'step.deferred'].flatMap((type) =>
  [true, false].map((before) => ({ type, before })),
)

it.each(
  presets.flatMap(([preset, config]) => POINTS.map((point) => [preset, point.type, point.before, config] as const)),
)(
  'continues on %s after a process that dies around "%s" (before: %s)',
  async (preset, type, before, shared) => {
    const journal = join(folder, `${preset}-${type}-${before}.log`)
    writeFileSync(journal, '')
    const place = `${name}_${type.replace('.', '_')}_${before}`
    const config: KernelConfig =
      preset === 'prod-redis'
        ? { redis: { ...shared.redis, prefix: place } }
        : { postgres: { ...shared.postgres, schema: place } }
    const kernel = await createKernel({ preset, config: { registry: { dirs: [] }, ...config } })
    try {
      await registerWorkers(kernel, journal)
      const worker = type === 'step.deferred' ? 'later' : type === 'unique.opened' ? 'once' : 'newest'
      if (worker !== 'later') await kernel.queue(worker).pause()
      if (worker === 'newest') await kernel.enqueue(worker, 'first')
      const settings: Settings = { preset, config, journal, dies: { type, before }, call: { worker, data: 'called' } }
      await using child = startNode([PROCESS, JSON.stringify(settings)], ROOT)
      expect((await child.ended).code).toBe(null)

      await kernel.start()
      const last = worker === 'later' ? undefined : await kernel.enqueue(worker, 'called')
      await kernel.queue(worker).resume()
      const lines = (): string[] => readFileSync(journal, 'utf8').trim().split('\n')
      await expect.poll(lines, { timeout: 60_000 }).toEqual([`${worker} called`])
      if (last) await kernel.result(last, { timeout: 60_000 })
      await expect
        .poll(() => kernel.queue(worker).counts())
        .toMatchObject({ waiting: 0, delayed: 0, active: 0, completed: 1 })
      expect(lines()).toEqual([`${worker} called`])
    } finally {
      await kernel.close({ timeout: 0 })
    }
  },
  120_000,
)
