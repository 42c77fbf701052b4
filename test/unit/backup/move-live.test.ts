import { expect, it, onTestFinished } from 'vitest'
import { createKernel, type Kernel } from '../../../kernel/index.ts'
import { checksumOf } from '../../../plugins/integrations/lib/backup/checksum.ts'
import { moveLive, type LiveStore } from '../../../plugins/integrations/lib/backup/move-live.ts'
import { abortMove, moveStore } from '../../../plugins/integrations/lib/backup/move.ts'
import memory from '../../../presets/dev.ts'

const NOW = { settle: 0, drain: 0 }

async function open(): Promise<Kernel> {
  const config = { registry: { dirs: [] }, retention: { sweepInterval: 0 }, instances: { heartbeat: 0 } }
  const kernel = await createKernel({ preset: memory, config })
  onTestFinished(async () => void (await kernel.close()))
  return kernel
}

/** A side of a move. A store in memory stands for one that processes share. Its methods fail after a number of writes. */
function sideOf(kernel: Kernel, name: string, writesLeft = { count: Infinity }): LiveStore {
  const dies =
    <A extends unknown[], R>(write: (...args: A) => R) =>
    (...args: A): R => {
      if (writesLeft.count-- <= 0) throw new Error('killed')
      return write(...args)
    }
  const [events, jobs, port] = [kernel.port('eventCopies'), kernel.port('jobCopies'), kernel.port('events')]
  return {
    name,
    events: { ...events, write: dies(events.write) },
    jobs: { ...jobs, write: dies(jobs.write), remove: dies(jobs.remove) },
    port: {
      ...port,
      append: dies(port.append),
      trim: dies(port.trim),
      capabilities: { ...port.capabilities, shared: true, globalCursor: true },
    },
    assertUnused: async () => {},
  }
}

it('continues wherever it is killed, with jobs and streams that changed meanwhile', async () => {
  const [source, target] = await Promise.all([open(), open()])
  const [queue, events] = [source.port('queue'), source.port('events')]
  await source.registerWorker({
    id: 'mail',
    config: { queue: 'mail' },
    handler: ({ data }) => {
      if (data === 'bad') throw new Error('the server is down')
      return data
    },
  })
  const jobs = await source.enqueueMany(['bad', 'good', 'bad'].map((data) => ({ worker: 'mail', data })))
  await source.start()
  await Promise.allSettled(jobs.map((job) => source.result(job)))
  await queue.pause('mail')
  await source.enqueue('mail', 'waiting')
  await events.append('_log', [{ type: 'a' }, { type: 'b', key: 'b' }, { type: 'c' }])

  let moved = false
  for (let writes = 0; !moved; writes++) {
    const left = { count: writes }
    const sides = [sideOf(source, 'old', left), sideOf(target, 'new', left)] as const
    moved = await moveLive(...sides, NOW).then(
      () => true,
      (error: Error) => {
        expect(error.message).toBe('killed')
        return false
      },
    )
    // A failed job that was copied is retried, and a stream that was copied loses its first events.
    if (writes === 6) {
      await queue.retry('mail', jobs[0]!.id)
      await events.snapshots.put('_log', { reducer: 'log', seq: 3, state: {} })
      await events.trim('_log', 2)
    }
    expect(writes).toBeLessThan(100)
  }
  const ofTarget = target.port('queue')
  const found = await ofTarget.getJobs({ queue: 'mail' })
  const states = found.map(({ state, data }) => `${state} ${String(data)}`)
  expect(new Set(states)).toEqual(new Set(['waiting bad', 'completed good', 'failed bad', 'waiting waiting']))
  expect(states).toHaveLength(4)
  expect(await ofTarget.isPaused('mail')).toBe(true)
  for (const stream of ['_log', ...jobs.map(({ runId }) => runId)]) {
    const [expected, copied] = [source, target].map((one) => checksumOf(one.port('eventCopies'), stream))
    expect(await copied, stream).toBe(await expected)
  }
  expect(await target.port('events').read('_log', { after: 2 })).toMatchObject([{ type: 'c', seq: 3 }])
})

it('lets the old store be used again if processes do not leave it, and moves the job that came too late', async () => {
  const [source, target] = await Promise.all([open(), open()])
  await source.registerWorker({ id: 'mail', config: { queue: 'mail' }, handler: () => {} })
  const [old, fresh] = [sideOf(source, 'old'), sideOf(target, 'new')]
  const inUse = Object.assign(new Error('in use'), { code: 'STORE_IN_USE' })
  await expect(moveLive({ ...old, assertUnused: () => Promise.reject(inUse) }, fresh, NOW)).rejects.toThrow('in use')
  await expect(moveStore(old, fresh)).rejects.toMatchObject({ code: 'STORE_MOVED', message: /with --live/ })
  const late = async (phase: string): Promise<void> => {
    if (phase === 'moved') await source.enqueue('mail', 'late', { id: 'late' })
  }
  const report = await moveLive(old, fresh, { ...NOW, settle: 20, onPhase: (phase) => void late(phase) })
  expect(report).toMatchObject({ late: 1 })
  expect(await target.port('queue').getJob('mail', 'late')).toMatchObject({ state: 'waiting', data: 'late' })
  await expect(abortMove(old)).rejects.toMatchObject({ code: 'STORE_MOVED' })
})

it('refuses a store that belongs to one process', async () => {
  const [source, target] = await Promise.all([open(), open()])
  const old = sideOf(source, 'old')
  const move = moveLive({ ...old, port: source.port('events') }, sideOf(target, 'new'), NOW)
  await expect(move).rejects.toMatchObject({ code: 'OPTION_UNSUPPORTED' })
})
