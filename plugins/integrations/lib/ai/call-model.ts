import type { FinishReason, ModelMessage, ToolSet, UIMessageChunk } from 'ai'
import type { RunContext } from '../../../../kernel/index.ts'
import { loadPackage } from '../../../lib/optional-package.ts'
import { CHUNKS, dataOf, withoutUndefined } from './chunks.ts'
import { createContinuation } from './continuation.ts'
import type { AnswerOptions, ChatToolCall, TokenUsage } from './options.ts'
import { createChunkWriter } from './writer.ts'

/** The recorded result of one call of the model. */
export interface ModelCall {
  messages: ModelMessage[]
  /** The calls of tools that this package has to execute. */
  calls: ChatToolCall[]
  text: string
  finishReason: FinishReason
  usage: TokenUsage
}

export const loadAiSdk = () => loadPackage(() => import('ai'), 'A chat', 'ai')

interface Request {
  options: AnswerOptions
  messages: ModelMessage[]
  /** The number of the call within the turn, from 1. */
  call: number
  /** How many tokens the budget still allows. */
  left: number
  signal: AbortSignal
}

/** Calls the model once, stores its answer as it arrives, and returns it. Tools are not executed. */
export async function callModel(ctx: RunContext, request: Request): Promise<ModelCall> {
  const { options, messages, call, left, signal } = request
  const { streamText, toUIMessageStream } = await loadAiSdk()
  const { model, instructions, sendReasoning, sendSources, interval = 50 } = options
  const { maxOutputTokens = Infinity, tools = {}, ...rest } = options
  const most = Math.min(maxOutputTokens, left)
  let failure: unknown
  const result = streamText({
    ...settingsOf(rest),
    ...(most < Infinity && { maxOutputTokens: most }),
    model,
    instructions,
    messages,
    tools: withoutExecute(tools),
    abortSignal: signal,
    onError: ({ error }) => void (failure ??= error),
  })
  const writer = createChunkWriter(ctx, call, interval)
  const continuation = createContinuation(await streamedBefore(ctx, call), writer.write)
  const rename = createNames(call)
  const options_ = { sendStart: false, sendFinish: false, sendReasoning, sendSources }
  for await (const chunk of toUIMessageStream({ stream: result.stream, ...options_ })) {
    if (chunk.type === 'abort') throw signal.reason
    if (chunk.type === 'error') throw failure ?? new Error(chunk.errorText)
    continuation.accept(rename(chunk))
  }
  continuation.end()
  await writer.flush()
  const { inputTokens = 0, outputTokens = 0, totalTokens = inputTokens + outputTokens } = await result.usage
  const calls = (await result.toolCalls).filter((one) => !one.providerExecuted && !('invalid' in one && one.invalid))
  return {
    messages: withoutUndefined(await result.responseMessages),
    calls: calls.map(({ toolCallId, toolName, input }) =>
      withoutUndefined({ toolCallId, toolName, input: input as unknown }),
    ),
    text: await result.text,
    finishReason: await result.finishReason,
    usage: { inputTokens, outputTokens, totalTokens },
  }
}

function settingsOf(options: Partial<AnswerOptions>) {
  const { temperature, topP, topK, presencePenalty, frequencyPenalty, stopSequences } = options
  const { seed, headers, maxRetries, providerOptions } = options
  const sampling = { temperature, topP, topK, presencePenalty, frequencyPenalty, stopSequences, seed }
  return { ...sampling, headers, maxRetries, providerOptions }
}

/** The SDK would execute tools itself, without recording their results. */
function withoutExecute(tools: ToolSet): ToolSet {
  const bare = Object.entries(tools).map(([name, { execute: _execute, ...tool }]) => [name, tool])
  return Object.fromEntries(bare) as ToolSet
}

/** Returns the chunks of a call that an earlier attempt has stored. */
async function streamedBefore(ctx: RunContext, call: number): Promise<UIMessageChunk[]> {
  if (ctx.claim === 1) return []
  const events = await ctx.kernel.port('events').read(ctx.runId, { types: [CHUNKS] })
  const own = events.filter((event) => event.stepId === ctx.job.id && dataOf(event).call === call)
  return own.flatMap((event) => dataOf(event).chunks)
}

/** Returns a function that gives the parts of an answer ids that are the same if the model is asked again. Providers use random ids. */
function createNames(call: number): (chunk: UIMessageChunk) => UIMessageChunk {
  const names = new Map<string, string>()
  return (chunk) => {
    if (!/^(?:text|reasoning)-/.test(chunk.type)) return chunk
    const { id } = chunk as { id: string }
    const key = `${chunk.type.split('-')[0]!} ${id}`
    if (chunk.type.endsWith('-start') || !names.has(key)) names.set(key, `${call}.${names.size + 1}`)
    return { ...chunk, id: names.get(key)! } as UIMessageChunk
  }
}
