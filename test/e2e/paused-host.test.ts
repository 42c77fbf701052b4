import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { ROOT } from './processes.ts'

/** A healthy child responds sooner, even on a slow machine. */
const LIMIT = 1000

test('a host that was paused checks a healthy child again before it declares it dead', async () => {
  const rootDir = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
  onTestFinished(() => rm(rootDir, { recursive: true, force: true }))
  await mkdir(join(rootDir, 'server/queues'), { recursive: true })
  await writeFile(
    join(rootDir, 'server/queues/naps.py'),
    'import time\nfrom nuxt_queue import define_worker\n\n@define_worker\ndef naps(job, ctx):\n    print(1)\n    time.sleep(6)\n    return "well"\n',
  )
  const script = `
    import { createKernel } from 'nuxt-queue'
    const config = { registry: { rootDir: ${JSON.stringify(rootDir)} }, python: { heartbeatTimeout: ${LIMIT} } }
    const kernel = await createKernel({ preset: 'dev', config })
    await kernel.start()
    const job = await kernel.enqueue('naps', null, { attempts: 1 })
    const logged = async () => (await kernel.port('events').read(job.runId, { types: ['runner.log'] })).length > 0
    while (!(await logged())) await new Promise((resolve) => setTimeout(resolve, 20))
    console.log('running')
    console.log(await kernel.result(job).catch((error) => error.code))
    await kernel.close()
  `
  const host = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 2],
  })
  onTestFinished(() => void host.kill('SIGKILL'))
  const lines = createInterface(host.stdout!)[Symbol.asyncIterator]()
  expect((await lines.next()).value).toBe('running')
  host.kill('SIGSTOP')
  await sleep(3 * LIMIT)
  host.kill('SIGCONT')
  expect((await lines.next()).value).toBe('well')
  await once(host, 'exit')
})
