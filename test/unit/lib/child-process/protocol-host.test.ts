import { expect, onTestFinished, test } from 'vitest'
import type { Job, RunContext } from '../../../../kernel/index.ts'
import { decodeJson } from '../../../../plugins/lib/json.ts'
import { abstract, concrete, conversationsOf, type Conversation } from '../../../fixtures/runtime/conversations.ts'
import { openPuppet } from './puppet.ts'

/** The response of the host for a suspended handler. */
const DEFERRAL = { runAt: 0, holdQueue: false }

type Attempt = { job: Job; claim: number }
type Message = Record<string, unknown> & { params?: Record<string, unknown> }

test.each(conversationsOf('host').map((one) => [one.name, one] as const))('%s', async (_name, conversation) => {
  const { worker, frames } = conversation
  const puppet = openPuppet({ id: worker })
  onTestFinished(puppet.close)
  const controller = new AbortController()
  const ended: Promise<unknown>[] = []
  let ready = false
  for (const [index, [side, script]] of frames.entries()) {
    if (side === 'child') {
      puppet.say(concrete(script, 'x'))
      continue
    }
    const { method, params } = script as Message
    if (method === 'execute') {
      if (!ready) await puppet.child.ready
      ready = true
      // One after the other, like the runner.
      await Promise.allSettled(ended)
      const attempt = decodeJson(JSON.stringify(params)) as Attempt
      ended.push(puppet.child.execute(scripted(attempt, conversation, controller.signal)))
      ended.at(-1)!.catch(() => {})
    } else if (method === 'cancel') {
      const { reason } = params as unknown as { reason: { code: string; message: string } }
      controller.abort(Object.assign(new Error(reason.message), { code: reason.code }))
    }
    expect(abstract(await puppet.hear(), script), `frame ${index}`).toEqual(script)
  }
  const results = await Promise.allSettled(ended)
  const said = results.map((one) =>
    one.status === 'rejected' ? { failed: (one.reason as Error).message } : { value: one.value },
  )
  expect(said).toEqual(answersOf(frames))
})

test('a child that reports a wait without having begun one', async () => {
  const puppet = openPuppet()
  onTestFinished(puppet.close)
  puppet.say({ jsonrpc: '2.0', id: 1, result: { protocol: 1, runtime: { name: 'x', version: 'x' } } })
  await puppet.child.ready
  const none = { job: { id: '1', data: null }, claim: 1, signal: new AbortController().signal, step: { deferral() {} } }
  const executed = puppet.child.execute(none as object as RunContext)
  puppet.say({ jsonrpc: '2.0', id: 2, result: { defer: { suspended: true } } })
  await expect(executed).rejects.toMatchObject({ code: 'PROTOCOL_VIOLATION' })
})

/** Returns the outcomes of the executions that the messages of the child lead to. */
function answersOf(frames: Conversation['frames']): unknown[] {
  const executions = frames.flatMap(([, script]) =>
    (script as Message).method === 'execute' ? [(script as Message).id] : [],
  )
  return executions.map((id) => {
    const answer = frames.find(
      ([side, script]) => side === 'child' && !('method' in (script as Message)) && (script as Message).id === id,
    )
    const { result, error } = answer![1] as {
      result?: { value?: unknown; defer?: object }
      error?: { message: string }
    }
    if (error) return { failed: concrete(error.message, 'x') }
    if (result?.defer) return { value: DEFERRAL }
    const { value } = decodeJson(JSON.stringify(concrete(result, 'x'))) as { value?: unknown }
    return { value }
  })
}

/** A context that responds to each call as in the conversation. */
function scripted({ job, claim }: Attempt, { frames }: Conversation, signal: AbortSignal): RunContext {
  const messages = frames.map(([, script]) => script as Message)
  const replies = frames.flatMap(([side, script]) =>
    side === 'host' && !(script as Message).method ? [script as Message] : [],
  )
  let at = 0

  /** The answer to the next call of a method, after the parameters have been compared. */
  function answer(method: string, params: object): Promise<unknown> {
    at = messages.findIndex((message, index) => index >= at && message.method === method)
    const asked = messages[at++]!
    const { execution: _, token: __, ...expected } = asked.params!
    expect(params).toEqual(decodeJson(JSON.stringify(expected)))
    const { result, error } = replies.find(({ id }) => id === asked.id) ?? {}
    if (!error) return Promise.resolve(decodeJson(JSON.stringify(result ?? null)))
    const { message, data } = error as { message: string; data: { name: string; code: string } }
    return Promise.reject(Object.assign(new Error(message), { name: data.name, code: data.code }))
  }

  const members = {
    job,
    claim,
    signal,
    get cancelled() {
      return signal.aborted
    },
    track: <T>(promise: Promise<T>) => promise,
    state: {
      set: (key: string, value: unknown) => answer('ctx.state.set', { key, value }),
      getAll: () => answer('ctx.state.getAll', {}),
      get: async (key: string) => {
        return ((await answer('ctx.state.read', { key })) as { value: unknown }).value
      },
      compareAndSet: async (key: string, _expected: unknown, value: unknown) =>
        ((await answer('ctx.state.swap', { key, value })) as { swapped: boolean }).swapped,
    },
    logger: {
      log: (level: string, message: string, meta: object) => answer('ctx.logger.log', { level, message, meta }),
    },
    flow: {
      emit: (event: string, payload: unknown) => answer('ctx.flow.emit', { event, payload }),
      begin: (flow: string, input: unknown, options: object) => answer('ctx.flow.start', { flow, input, options }),
    },
    step: {
      lookup: (name: string) => answer('ctx.step.lookup', { name }),
      record: (name: string, result: unknown) => answer('ctx.step.record', { name, result }),
      fail: (name: string, { message }: Error) =>
        answer('ctx.step.fail', { name, error: { message, name: '*', stack: '*' } }),
      wait: (name: string, wait: object) => answer('ctx.step.wait', { name, wait }),
      deferral: () => DEFERRAL,
    },
    client: {
      send: (type: string, data: unknown, { store }: { store?: boolean }) =>
        answer('ctx.client.send', { type, data, ...(store !== undefined && { store }) }),
      hasSubscribers: () => answer('ctx.client.hasSubscribers', {}),
    },
    progress: (value: number, message?: string) =>
      answer('ctx.progress', { value, ...(message !== undefined && { message }) }),
  }
  return members as object as RunContext
}
