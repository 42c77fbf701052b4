import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { Kernel, KernelConfig } from 'nuxt-queue/kernel'
import { join } from 'pathe'
import { onTestFinished } from 'vitest'
import devFile from '../../../../presets/dev-file.ts'
import { createTestKernel, type TestKernel, type TestKernelOptions } from '../../../../testing/index.ts'

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-file-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The preset `dev-file` under a virtual clock. */
export function openFolder(
  dir: string,
  file: KernelConfig['file'] = {},
  { config: more, ...options }: Pick<TestKernelOptions, 'workers' | 'now' | 'config'> = {},
): Promise<TestKernel> {
  const config: KernelConfig = {
    file: { path: dir, fsync: 'never', ...file },
    retention: { sweepInterval: 0 },
    instances: { heartbeat: 0 },
    stats: { enabled: false },
    errors: { enabled: false },
    registry: { dirs: [] },
    abortGrace: 0,
    ...more,
  }
  return createTestKernel({ preset: devFile, config, ...options })
}

/** Returns all readable data of the jobs and runs of a kernel. */
export async function contentsOf(kernel: Kernel): Promise<object> {
  const [queue, events] = [kernel.port('queue'), kernel.port('events')]
  const jobs = await queue.getJobs({ limit: 1e6 })
  const names = [...new Set(jobs.map((job) => job.queue))].toSorted()
  const runs = await events.runs.list({ limit: 1e6 })
  return {
    queues: await Promise.all(
      names.map(async (name) => ({ name, paused: await queue.isPaused(name), counts: await queue.getJobCounts(name) })),
    ),
    jobs,
    runs,
    events: await Promise.all(runs.map(({ runId, head }) => (head > 0 ? readAll(kernel, runId) : []))),
  }
}

async function readAll(kernel: Kernel, runId: string): Promise<object> {
  const events = kernel.port('events')
  const snapshot = await events.snapshots.get(runId, 'r')
  return { snapshot, events: await events.read(runId, { after: snapshot?.seq ?? 0 }) }
}
