import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { Worker } from 'node:worker_threads'
import { join } from 'pathe'
import { describe, expect, it } from 'vitest'
import { newFolder, openFolder } from './rig.ts'

const LOCK = new URL('../../../../plugins/adapters/lib/folder/lock.ts', import.meta.url).href

/** A process that takes the lock, says so, and holds it until it is killed. */
function holder(folder: string) {
  const script = `import { lockFolder } from ${JSON.stringify(LOCK)}
    try { await lockFolder(${JSON.stringify(folder)}, 0); console.log('has it'); setInterval(() => {}, 1000) }
    catch (error) { console.log(error.code); process.exit() }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const said = once(child.stdout, 'data').then(([text]) => String(text).trim())
  return { child, said }
}

/** A thread of this process that takes the lock, and keeps its event loop busy from then on. */
function thread(folder: string) {
  const script = `import { parentPort } from 'node:worker_threads'
    import { lockFolder } from ${JSON.stringify(LOCK)}
    try { await lockFolder(${JSON.stringify(folder)}, 0); parentPort.postMessage('has it'); for (;;); }
    catch (error) { parentPort.postMessage(error.code) }`
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`))
  const said = once(worker, 'message').then(([text]) => String(text))
  return { worker, said }
}

describe('the lock of a folder', () => {
  it('refuses a folder that cannot be created, and one that is a file', async () => {
    const file = join(newFolder(), 'file')
    writeFileSync(file, 'mine')
    for (const folder of [file, join(file, 'below')]) {
      const message = expect.stringContaining(`The folder ${folder} cannot be used`)
      await expect(openFolder(folder)).rejects.toMatchObject({ code: 'STORE_REFUSED', message })
    }
    expect(readFileSync(file, 'utf8')).toBe('mine')
  })

  it('rejects a second kernel, in this process and in another, and names the holder', async () => {
    const folder = newFolder()
    await using _first = await openFolder(folder)
    await expect(openFolder(folder)).rejects.toMatchObject({
      code: 'STORE_LOCKED',
      message: expect.stringContaining('in use by this process'),
    })
    expect(await holder(folder).said).toBe('STORE_LOCKED')
    const other = newFolder()
    const { child, said } = holder(other)
    expect(await said).toBe('has it')
    await expect(openFolder(other)).rejects.toMatchObject({
      code: 'STORE_LOCKED',
      message: expect.stringContaining(`in use by process ${child.pid}.`),
    })
    child.kill('SIGKILL')
  })

  it('waits for a holder that releases the lock in time', async () => {
    const folder = newFolder()
    const first = await openFolder(folder)
    const second = openFolder(folder, { lockTimeout: 10_000 })
    await first.close()
    await (await second).close()
  })

  it('is taken over from a process that was killed, by one of many that try', async () => {
    const folder = newFolder()
    const { child, said } = holder(folder)
    await said
    child.kill('SIGKILL')
    await once(child, 'exit')
    const many = Array.from({ length: 6 }, () => holder(folder))
    const answers = await Promise.all(many.map((one) => one.said))
    for (const one of many) one.child.kill('SIGKILL')
    expect(answers.filter((answer) => answer === 'has it')).toHaveLength(1)
    expect(answers.filter((answer) => answer === 'STORE_LOCKED')).toHaveLength(5)
  })

  it('is kept by a busy thread of this process, and taken over once the thread was terminated', async () => {
    const folder = newFolder()
    const { worker, said } = thread(folder)
    expect(await said).toBe('has it')
    await expect(openFolder(folder)).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    const second = openFolder(folder, { lockTimeout: 10_000 })
    await worker.terminate()
    await (await second).close()
  })

  it('recognizes another process that received the same pid', async () => {
    const folder = newFolder()
    const holder = { pid: process.pid, host: hostname(), started: 'long ago', nonce: 'another' }
    writeFileSync(join(folder, 'lock'), JSON.stringify(holder))
    await using _test = await openFolder(folder)
    expect(JSON.parse(readFileSync(join(folder, 'lock'), 'utf8'))).toMatchObject({ pid: process.pid })
  })

  it('respects a holder on another machine while its heartbeats arrive', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'lock'), JSON.stringify({ pid: 1, host: 'elsewhere', nonce: 'another' }))
    await expect(openFolder(folder)).rejects.toMatchObject({
      code: 'STORE_LOCKED',
      message: expect.stringContaining('process 1 on elsewhere'),
    })
  })
})
