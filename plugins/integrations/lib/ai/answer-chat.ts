import type { ModelMessage } from 'ai'
import { QueueError, type Job, type RunContext } from '../../../../kernel/index.ts'
import { callModel, loadAiSdk } from './call-model.ts'
import { emitOnce } from './chunks.ts'
import type { AnswerOptions, AnswerOptionsOf, ChatAnswer, ChatTurn, TokenUsage } from './options.ts'
import { runTool } from './run-tool.ts'

/** How often the model is called in a turn, unless the options say otherwise. */
const MAX_CALLS = 20

/**
 * Creates the handler of a worker that answers chats. Each call of the model or of a tool is a sub-step, so a retry continues after the
 * last one. What the model says is stored as it arrives, as events of the run. `ctx.state` has the tokens of the turn as `usage`.
 *
 * @example
 * export default defineQueueWorker(answerChat({ model: openai('gpt-5'), instructions: 'Be brief.' }))
 */
export function answerChat(options: AnswerOptionsOf): (job: Job, ctx: RunContext) => Promise<ChatAnswer> {
  return async (job, ctx) => {
    const turn = job.data as ChatTurn
    return answer(turn, typeof options === 'function' ? await options(turn, ctx) : options, ctx)
  }
}

async function answer(turn: ChatTurn, options: AnswerOptions, ctx: RunContext): Promise<ChatAnswer> {
  const { convertToModelMessages } = await loadAiSdk()
  const { maxCalls = MAX_CALLS, prepareMessages = (all) => all } = options
  const asked = await convertToModelMessages(turn.messages, { tools: options.tools, ignoreIncompleteToolCalls: true })
  const messages: ModelMessage[] = [...(await prepareMessages(asked))]
  let usage: TokenUsage = { inputTokens: 0, outputTokens: 0, totalTokens: 0 }

  await emitOnce(ctx, 'start', [{ type: 'start', messageId: turn.turn }])
  for (let count = 1; ; count++) {
    const before = usage
    const made = await ctx.step.run(`model ${count}`, async ({ signal }) => {
      const left = tokensLeft(turn, options, before)
      const result = await callModel(ctx, { options, messages, call: count, left, signal })
      await ctx.state.set('usage', sum(before, result.usage))
      return result
    })
    usage = sum(before, made.usage)
    const { text, finishReason } = made
    messages.push(...made.messages)
    if (made.calls.length === 0 || count >= maxCalls) {
      await emitOnce(ctx, 'finish', [{ type: 'finish', finishReason, messageMetadata: { usage } }])
      return { text, finishReason, usage }
    }
    const context = [...messages]
    const results = made.calls.map((call) => runTool(ctx, options, { call, count, messages: context }))
    messages.push({ role: 'tool', content: await Promise.all(results) })
  }
}

function sum(one: TokenUsage, other: TokenUsage): TokenUsage {
  return {
    inputTokens: one.inputTokens + other.inputTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    totalTokens: one.totalTokens + other.totalTokens,
  }
}

/** Returns how many tokens the next call may use. @throws QueueError `AI_BUDGET_EXCEEDED` */
function tokensLeft({ spent }: ChatTurn, { budget = {} }: AnswerOptions, { totalTokens }: TokenUsage): number {
  const { turn = Infinity, chat = Infinity } = budget
  if (totalTokens >= turn) throw exceeded('turn', turn, totalTokens)
  if (spent + totalTokens >= chat) throw exceeded('chat', chat, spent + totalTokens)
  return Math.min(turn - totalTokens, chat - spent - totalTokens)
}

function exceeded(of: 'turn' | 'chat', limit: number, used: number): QueueError {
  const hint = of === 'turn' ? 'Ask for less at once.' : 'Begin a new chat.'
  const message = `This ${of} may use ${limit} tokens and has used ${used}. ${hint}`
  return new QueueError('AI_BUDGET_EXCEEDED', message, { retryable: false, details: { limit, used } })
}
