import { Chat } from '@ai-sdk/vue'
import { tool, type ToolUIPart, type UIMessage, type UIMessageChunk } from 'ai'
import { MockLanguageModelV4, simulateReadableStream } from 'ai/test'
import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import type { Kernel } from '../../../index.ts'
import { createChatTransport } from '../../../plugins/integrations/client/ai.ts'
import { createContinuation } from '../../../plugins/integrations/lib/ai/continuation.ts'
import { answerChat, handleChat, type AnswerOptions } from '../../../plugins/integrations/lib/ai/index.ts'
import { createTestKernel } from '../../../testing/index.ts'

type Part = Awaited<ReturnType<MockLanguageModelV4['doStream']>>['stream'] extends ReadableStream<infer P> ? P : never

const SPENT = { inputTokens: { total: 10 }, outputTokens: { total: 5 } } as const

/** The parts of a stream with these words. */
function say(words: readonly string[], id = 'any'): Part[] {
  return [
    { type: 'text-start', id },
    ...words.map((delta): Part => ({ type: 'text-delta', id, delta })),
    { type: 'text-end', id },
    finish('stop'),
  ]
}

function callTool(toolName: string, input: object): Part[] {
  return [
    { type: 'tool-call', toolCallId: `call-${toolName}`, toolName, input: JSON.stringify(input) },
    finish('tool-calls'),
  ]
}

function finish(unified: 'stop' | 'tool-calls'): Part {
  return { type: 'finish', finishReason: { unified, raw: undefined }, usage: SPENT as never }
}

/** A model that gives one answer for each call. */
function model(...answers: Part[][]): MockLanguageModelV4 {
  const left = [...answers]
  return new MockLanguageModelV4({
    doStream: async () => ({ stream: streamOf(left.shift()!) }),
  })
}

function streamOf(chunks: Part[]): ReadableStream<Part> {
  return simulateReadableStream({ chunks, chunkDelayInMs: null, initialDelayInMs: null })
}

function send(kernel: Kernel, init: RequestInit, type = 'application/json'): Promise<Response> {
  const request = new Request('http://host/api/chat', { ...init, headers: { 'content-type': type } })
  return handleChat(kernel, request, { worker: 'chat', owner: 'ada' })
}

async function application(options: AnswerOptions, attempts = 2) {
  const test = await createTestKernel({ workers: { chat: { config: { attempts }, handler: answerChat(options) } } })
  return {
    test,
    kernel: test.kernel,
    chat: (id?: string, owner?: string) => tab(test.kernel, id, owner),
    [Symbol.asyncDispose]: test.close,
  }
}

/** A tab of a browser that shows a chat. */
function tab(kernel: Kernel, id = 'c1', owner = 'ada') {
  const responses: Response[] = []
  const transport = createChatTransport({
    fetch: async (url, init) => {
      const response = await handleChat(kernel, new Request(new URL(url, 'http://host'), init), {
        worker: 'chat',
        owner,
      })
      responses.push(response)
      return response
    },
  })
  const chat = new Chat({ id, transport, generateId: () => `m${responses.length}` })
  return { chat, transport, responses }
}

const textOf = (message: UIMessage | undefined): string =>
  message?.parts.map((part) => (part.type === 'text' ? part.text : '')).join('') ?? ''

describe('a durable chat', () => {
  it('answers, keeps the messages on the server, and has the tokens in its state', async () => {
    await using app = await application({ model: model(say(['The sky ', 'is ', 'blue.'])) })
    const { chat, transport } = app.chat()
    await chat.sendMessage({ text: 'Why?' })
    expect(chat.status).toBe('ready')
    expect(textOf(chat.lastMessage)).toBe('The sky is blue.')
    const stored = await transport.load('c1')
    expect(stored.status).toBe('ready')
    expect(stored.messages.map(textOf)).toEqual(['Why?', 'The sky is blue.'])
    const { jobs } = await app.kernel.findJobs()
    expect(await app.kernel.state(jobs[0]!.runId)).toEqual({
      usage: { inputTokens: 10, outputTokens: 5, totalTokens: 15 },
    })
    // All words of one interval are stored as one event.
    expect((await app.test.events(jobs[0]!.runId)).filter(({ type }) => type === 'ai.chunks')).toHaveLength(3)
    expect(await app.chat('c1', 'eve').transport.load('c1')).toEqual({ messages: [], status: 'empty' })
  })

  it.each([
    ['continues where it was interrupted if the model says the same', ['The sky ', 'is ', 'blue.'], false],
    ['is replaced if the model says something else', ['It ', 'is the air.'], true],
  ])('%s', async (_name, second, replaced) => {
    const fail = Promise.withResolvers<void>()
    const broken = new ReadableStream<Part>({
      async start(controller) {
        for (const part of say(['The ', 'sky ']).slice(0, 3)) controller.enqueue(part)
        await fail.promise
        controller.error(new Error('The provider is away.'))
      },
    })
    const answers = [broken, streamOf(say(second, 'another id'))]
    await using app = await application({
      model: new MockLanguageModelV4({ doStream: async () => ({ stream: answers.shift()! }) }),
    })
    const { chat } = app.chat()
    const answered = chat.sendMessage({ text: 'Why?' })
    const seen = async (): Promise<string> => {
      await app.test.advance(50)
      return textOf(chat.lastMessage)
    }
    await vi.waitFor(async () => expect(await seen()).toBe('The sky '))
    // A tab that opens now reads the answer from its beginning.
    const second_ = app.chat()
    second_.chat.messages = (await second_.transport.load('c1')).messages
    const resumed = second_.chat.resumeStream()
    await vi.waitFor(async () => expect(textOf(second_.chat.lastMessage)).toBe('The sky '))
    fail.resolve()
    await Promise.all([answered, resumed])
    for (const one of [chat, second_.chat]) expect(one.messages.map(textOf)).toEqual(['Why?', second.join('')])
    const { jobs } = await app.kernel.findJobs()
    expect(JSON.stringify(await app.test.events(jobs[0]!.runId)).includes('reset-step')).toBe(replaced)
    expect(await app.chat().transport.load('c1')).toMatchObject({
      status: 'ready',
      messages: [{}, { id: chat.lastMessage!.id }],
    })
  })

  it('waits for a person without a process, and runs an approved tool once', async () => {
    const ran: unknown[] = []
    const refund = tool({
      inputSchema: z.object({ cents: z.number() }),
      execute: (input) => (ran.push(input), 'refunded'),
    })
    await using app = await application({
      model: model(callTool('refund', { cents: 500 }), say(['Done.'])),
      tools: { refund },
      needsApproval: ['refund'],
    })
    const [one, other, stranger] = [app.chat(), app.chat(), app.chat('c1', 'eve')]
    const answered = one.chat.sendMessage({ text: 'Refund me.' })
    const request = await vi.waitFor(() => {
      const part = one.chat.lastMessage?.parts.find((all) => all.type === 'tool-refund') as ToolUIPart | undefined
      expect(part).toMatchObject({ state: 'approval-requested', input: { cents: 500 } })
      return part!.approval!
    })
    await app.test.drain()
    const [{ id: approval }] = [request]
    await expect(stranger.transport.approve('c1', { id: approval, approved: true })).rejects.toMatchObject({
      code: 'WAIT_UNKNOWN',
    })
    await expect(other.transport.approve('c1', { id: 'forged', approved: true })).rejects.toMatchObject({
      code: 'WAIT_UNKNOWN',
    })
    expect(ran).toEqual([])
    await other.transport.approve('c1', { id: approval, approved: true })
    await expect(one.transport.approve('c1', { id: approval, approved: false })).rejects.toMatchObject({
      code: 'WAIT_OVER',
    })
    await answered
    expect(one.chat.lastMessage?.parts).toMatchObject([
      { type: 'step-start' },
      { type: 'tool-refund', state: 'output-available', output: 'refunded', approval: { approved: true } },
      { type: 'step-start' },
      { type: 'text', text: 'Done.' },
    ])
    expect(ran).toEqual([{ cents: 500 }])
  })

  it('tells the model about a refused and a broken tool, but not the page about the error', async () => {
    const execute = (): string => {
      throw new Error('secret address')
    }
    const asked = model([...callTool('refund', {}).slice(0, 1), ...callTool('search', {})], say(['Sorry.']))
    const tools = {
      refund: tool({ inputSchema: z.object({}), execute }),
      search: tool({ inputSchema: z.object({}), execute }),
    }
    await using app = await application({
      model: asked,
      tools,
      needsApproval: ({ toolName }) => toolName === 'refund',
      approvalTimeout: 60_000,
    })
    const { chat } = app.chat()
    const answered = chat.sendMessage({ text: 'Refund me.' })
    await app.test.drain()
    await app.test.advance(60_000)
    await answered
    expect(textOf(chat.lastMessage)).toBe('Sorry.')
    expect(asked.doStreamCalls[1]!.prompt.at(-1)).toMatchObject({
      role: 'tool',
      content: [
        { toolName: 'refund', output: { type: 'execution-denied', reason: 'Nobody has responded in time.' } },
        { toolName: 'search', output: { type: 'error-text', value: 'secret address' } },
      ],
    })
    expect(chat.lastMessage?.parts).toMatchObject([{}, { state: 'output-denied' }, { state: 'output-error' }, {}, {}])
    expect(JSON.stringify(chat.messages)).not.toContain('secret')
  })

  it('ends with a coded error when the budget of the turn or of the chat is used', async () => {
    const search = tool({ inputSchema: z.object({}), execute: () => 'found' })
    const asked = model(say(['One.']), callTool('search', {}), say(['never']))
    await using app = await application({ model: asked, tools: { search }, budget: { chat: 30, turn: 20 } })
    const { chat, transport } = app.chat()
    await chat.sendMessage({ text: 'one' })
    expect(asked.doStreamCalls[0]!.maxOutputTokens).toBe(20)
    await app.test.advance(1)
    await chat.sendMessage({ text: 'two' })
    expect(chat.status).toBe('error')
    expect(chat.error?.message).toBe('This chat may use 30 tokens and has used 30. Begin a new chat.')
    expect(asked.doStreamCalls).toHaveLength(2)
    const { jobs } = await app.kernel.findJobs({ states: ['failed'] })
    expect(jobs).toMatchObject([{ error: { code: 'AI_BUDGET_EXCEEDED' } }])
    expect(await transport.load('c1')).toMatchObject({ status: 'failed' })
  })

  it('stops an answer in all tabs', async () => {
    await using app = await application({
      model: new MockLanguageModelV4({ doStream: async () => ({ stream: new ReadableStream() }) }),
    })
    const [one, other] = [app.chat(), app.chat()]
    const answered = one.chat.sendMessage({ text: 'Why?' })
    await vi.waitFor(async () => expect((await other.transport.load('c1')).status).toBe('answering'))
    const resumed = other.chat.resumeStream()
    await one.transport.stop('c1')
    await Promise.all([answered, resumed])
    expect([one.chat.status, other.chat.status]).toEqual(['ready', 'ready'])
    expect(await one.transport.load('c1')).toMatchObject({ status: 'cancelled' })
  })
})

describe('the requests of a chat', () => {
  const ask = {
    chat: 'c1',
    turn: 't1',
    trigger: 'submit-message',
    messages: [{ id: 'm1', role: 'user', parts: [{ type: 'text', text: 'Hi' }] }],
  }

  it('count once, one turn at a time', async () => {
    await using app = await application({
      model: new MockLanguageModelV4({ doStream: async () => ({ stream: new ReadableStream() }) }),
    })
    const post = (body: object) => send(app.kernel, { method: 'POST', body: JSON.stringify(body) })
    const statuses = await Promise.all([post(ask), post(ask)]).then((all) => all.map(({ status }) => status))
    expect(statuses).toEqual([202, 202])
    expect((await app.kernel.findJobs()).jobs).toHaveLength(1)
    const refused = await post({ ...ask, turn: 't2' })
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([409, 'JOB_STATE'])
  })

  it.each([
    ['a message of the system', { body: { ...ask, messages: [{ ...ask.messages[0], role: 'system' }] } }, 422],
    ['an answer as the last message', { body: { ...ask, messages: [{ ...ask.messages[0], role: 'assistant' }] } }, 422],
    ['an unknown member', { body: { ...ask, owner: 'root' } }, 422],
    ['a form of another site', { body: ask, type: 'text/plain' }, 415],
    ['another method', { method: 'PUT', body: ask }, 405],
  ])(
    'are refused with %s',
    async (_name, { body, method = 'POST', type }: { body: object; method?: string; type?: string }, status) => {
      await using app = await application({ model: model() })
      const response = await send(app.kernel, { method, body: JSON.stringify(body) }, type)
      expect(response.status).toBe(status)
      expect((await app.kernel.findJobs()).jobs).toEqual([])
    },
  )
})

describe('an answer that begins again', () => {
  const start: UIMessageChunk[] = [{ type: 'start-step' }, { type: 'text-start', id: '1' }]
  const text = (delta: string): UIMessageChunk => ({ type: 'text-delta', id: '1', delta })

  it.each<[string, UIMessageChunk[], UIMessageChunk[], UIMessageChunk[]]>([
    ['the same words', [...start, text('one two')], [...start, text('one '), text('two three')], [text(' three')]],
    ['other borders', [...start, text('on'), text('e ')], [...start, text('one'), text(' two')], [text('two')]],
    [
      'other words',
      [...start, text('one')],
      [...start, text('un'), text('o')],
      [{ type: 'reset-step' }, start[1]!, text('un'), text('o')],
    ],
    [
      'fewer words',
      [...start, text('one two')],
      [...start, text('one')],
      [{ type: 'reset-step' }, start[1]!, text('one')],
    ],
    ['nothing before', [], [...start, text('one')], [...start, text('one')]],
    [
      'a replaced beginning',
      [...start, text('x'), { type: 'reset-step' }, start[1]!, text('one')],
      [...start, text('one two')],
      [text(' two')],
    ],
  ])('with %s', (_name, before, after, written) => {
    const chunks: UIMessageChunk[] = []
    const continuation = createContinuation(before, (chunk) => void chunks.push(chunk))
    for (const chunk of after) continuation.accept(chunk)
    continuation.end()
    expect(chunks).toEqual(written)
  })
})
