import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { createSupervisor } from '../../../../plugins/runtimes/lib/child-process/supervisor.ts'
import { childrenOf } from '../../../e2e/process-tree.ts'

function startSleeper() {
  const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' })
  return { pid: child.pid!, ended: once(child, 'exit') }
}

test('kills the watched groups when its input ends, even after it was killed itself, but not the groups that it no longer watches', async () => {
  const supervisor = createSupervisor()
  const before = await childrenOf(process.pid)
  const [watched, forgotten] = [startSleeper(), startSleeper()]
  supervisor.watch(watched.pid)
  supervisor.watch(forgotten.pid)
  supervisor.unwatch(forgotten.pid)
  const known = new Set([...before, watched.pid, forgotten.pid])
  const shells = async (): Promise<number[]> => (await childrenOf(process.pid)).filter((pid) => !known.has(pid))
  const [shell] = await shells()
  process.kill(shell!, 'SIGKILL')
  await expect.poll(async () => (await shells()).filter((pid) => pid !== shell)).toHaveLength(1)

  supervisor.close()
  await watched.ended
  expect(await childrenOf(process.pid)).toContain(forgotten.pid)
  process.kill(-forgotten.pid, 'SIGKILL')
  await forgotten.ended
})
