import { setImmediate as turn } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { RunContext } from '../../../../kernel/index.ts'
import { environmentOf, processOptions } from '../../../../plugins/runtimes/lib/child-process/options.ts'
import { openPuppet } from './puppet.ts'

const READY = { jsonrpc: '2.0', id: 1, result: { protocol: 1, runtime: { name: 'x', version: 'x' } } }
const lines = (count: number, message: (index: number) => object): Buffer =>
  Buffer.from(Array.from({ length: count }, (_, index) => `${JSON.stringify(message(index))}\n`).join(''))

/** A child that runs a job, and the calls of its context. */
async function executing(options: Parameters<typeof openPuppet>[0] = {}) {
  const puppet = openPuppet(options)
  onTestFinished(puppet.close)
  puppet.say(READY)
  await puppet.child.ready
  const calls: string[] = []
  const logged: string[] = []
  const open: (() => void)[] = []
  const ctx = {
    ...{ job: { id: '1', data: null }, claim: 1, cancelled: false, signal: new AbortController().signal },
    track: <T>(promise: Promise<T>) => promise,
    state: {
      getAll: () => {
        calls.push('getAll')
        return new Promise((resolve) => void open.push(() => resolve('x'.repeat(1000))))
      },
    },
    logger: { log: async (_level: string, message: string) => void logged.push(message) },
  } as object as RunContext
  const executed = puppet.child.execute(ctx)
  executed.catch(() => {})
  return { ...puppet, ctx, executed, calls, logged, open }
}

/** Lets the streams deliver their data. */
async function settle(): Promise<void> {
  for (let index = 0; index < 50; index++) await turn()
}

test('a flood of calls never exceeds the maximum of open calls, and all calls are executed', async () => {
  const { write, calls, open, say, executed } = await executing()
  write(lines(3000, (id) => ({ jsonrpc: '2.0', id: `c${id}`, method: 'ctx.state.getAll', params: { execution: 2 } })))
  say({ jsonrpc: '2.0', id: 2, result: { value: 'after all of them' } })
  const most = new Set<number>()
  while (calls.length < 3000) {
    await settle()
    most.add(open.length)
    for (const answer of open.splice(0)) answer()
  }
  expect(Math.max(...most)).toBe(256)
  expect(await executed).toBe('after all of them')
})

test.each([
  [
    'forged ids of executions',
    (id: number) => ({ jsonrpc: '2.0', id, method: 'ctx.progress', params: { execution: 77 } }),
  ],
  ['methods that there are not', (id: number) => ({ jsonrpc: '2.0', id, method: `x${id}`, params: { execution: 2 } })],
])('a child that reads no answers to %s fills no memory with them', async (_what, message) => {
  const { write, output } = await executing({ deaf: true })
  write(lines(3000, message))
  await settle()
  expect(output.writableLength).toBeGreaterThan(65_536)
  expect(output.writableLength).toBeLessThan(65_536 + 256 * 1024)
  output.resume()
  await settle()
  expect(output.writableLength).toBe(0)
})

test('an endless line, an unknown response or an invalid message ends the child', async () => {
  const endless = await executing()
  for (let index = 0; index < 10; index++) endless.write(Buffer.alloc(10_000, 'x'))
  await expect(endless.executed).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
  for (const line of [
    '{"jsonrpc":"2.0","id":99,"result":{}}',
    '[]',
    '{"jsonrpc":"2.0","id":2,"error":7}',
    '\0'.repeat(20),
  ]) {
    const other = await executing()
    other.say(line)
    await expect(other.executed).rejects.toMatchObject({ code: 'PROTOCOL_VIOLATION' })
    expect(other.child.alive).toBe(false)
  }
})

test('a flood of lines, including empty lines, reaches the log up to its limit', async () => {
  const { stdout, say, executed, logged } = await executing({ maxOutput: 500 })
  for (let index = 0; index < 20; index++) stdout.write('\n'.repeat(5000))
  await settle()
  say({ jsonrpc: '2.0', id: 2, result: {} })
  await executed
  expect(logged).toHaveLength(501)
  expect(logged.at(-1)).toContain('were dropped')
})

test('the resource usage of a child is two numbers of its own process', async () => {
  for (const usage of [{ maxRss: 'much', cpu: 1 }, { maxRss: {}, cpu: [] }, 'all', null]) {
    const { say, executed, facts, ctx } = await executing()
    say({ jsonrpc: '2.0', id: 2, result: { usage } })
    await executed
    expect(facts.get(ctx)).toMatchObject({ pid: process.pid })
  }
  const { say, executed, facts, ctx } = await executing()
  say({ jsonrpc: '2.0', id: 2, result: { usage: { maxRss: 5, cpu: 7, pid: 1, huge: 'x' } } })
  await executed
  expect(facts.get(ctx)).toEqual({ pid: process.pid, maxRss: 5, cpu: 7 })
})

test('a child has the configuration of its host only on request', () => {
  vi.stubEnv('NUXT_QUEUE_HTTP_TOKEN', 'secret')
  vi.stubEnv('NUXT_PUBLIC_NAME', 'shop')
  onTestFinished(() => void vi.unstubAllEnvs())
  const given = (inheritEnv: true | string[]): string[] =>
    Object.keys(environmentOf(processOptions.parse({ inheritEnv }))).filter((name) => name.startsWith('NUXT_'))
  expect(given(['NUXT_*'])).toEqual(['NUXT_PUBLIC_NAME'])
  expect(given(['NUXT_QUEUE_*'])).toEqual(['NUXT_QUEUE_HTTP_TOKEN'])
  expect(given(['NUXT_QUEUE_HTTP_TOKEN'])).toEqual(['NUXT_QUEUE_HTTP_TOKEN'])
  expect(given(true).toSorted()).toEqual(['NUXT_PUBLIC_NAME', 'NUXT_QUEUE_HTTP_TOKEN'])
})
