import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'pathe'
import { afterEach, expect, it } from 'vitest'
import { ROOT } from './processes.ts'

const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-full-'))
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** Produces jobs, and prints each acknowledged job and each report. */
const PRODUCER = `
  import { createKernel } from ${JSON.stringify(join(ROOT, 'dist/index.js'))}
  const say = (line) => process.stdout.write(line + '\\n')
  const kernel = await createKernel({
    preset: 'dev-file',
    reporter: { warn: say, error: (message) => say('error ' + message) },
    config: { file: { path: ${JSON.stringify(folder)} }, registry: { dirs: [] } },
  })
  for (let n = 0; n < 100; n++) {
    await kernel.enqueue({ queue: 'q', name: 'n' }, 'x'.repeat(1000), { id: 'job-' + n })
    say('acknowledged ' + n)
  }
  await kernel.close()`

/** How often a process has asked the system to write something. */
function writesOf(pid: number): number {
  return Number(/^syscw: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))![1])
}

it.runIf(process.platform === 'linux')(
  'a full disk is reported once, nothing is acknowledged until there is room, and nothing is lost (Linux)',
  async () => {
    // A limit of the system simulates a full disk: no file of this process may grow beyond 30 blocks of 1,024 bytes.
    const shell = `trap '' XFSZ; ulimit -S -f 30; exec "$0" --input-type=module -e "$1"`
    const child = spawn('bash', ['-c', shell, process.execPath, PRODUCER], { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines: string[] = []
    const full = Promise.withResolvers<void>()
    const ended = new Promise((resolve) => child.on('exit', resolve))
    void ended.then((code) =>
      full.reject(new Error(`The producer ended with code ${String(code)} before the disk was full.`)),
    )
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line)
      if (line.startsWith('error')) full.resolve()
    })
    await full.promise
    const acknowledged = lines.length
    const journal = readFileSync(join(folder, 'queues/q.jsonl'), 'utf8')
    expect(journal.endsWith('\n')).toBe(true)
    expect(acknowledged).toBeLessThan(31)
    // Further attempts must not report the fault again.
    const tried = writesOf(child.pid!)
    while (writesOf(child.pid!) < tried + 6) await sleep(20)
    expect(lines).toHaveLength(acknowledged)
    execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited:unlimited'])
    expect(await ended).toBe(0)
    expect(lines.filter((line) => line.startsWith('error'))).toHaveLength(1)
    expect(lines.filter((line) => line.startsWith('acknowledged'))).toHaveLength(100)
    expect(readFileSync(join(folder, 'queues/q.jsonl'), 'utf8').match(/"job":"job-\d+","name"/g)).toHaveLength(100)
  },
)
