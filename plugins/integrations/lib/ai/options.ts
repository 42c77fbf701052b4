import type { FinishReason, LanguageModel, ModelMessage, streamText, ToolSet, UIMessage } from 'ai'
import type { RunContext } from '../../../../kernel/index.ts'
import type { StepOptions } from '../../../lib/step-attempts.ts'

/** A question of a chat, as the data of the job that answers it. */
export interface ChatTurn<M extends UIMessage = UIMessage> {
  /** The id of the chat. */
  chat: string
  /** Identifies the question. The page chooses it. */
  turn: string
  /** Who asks, as the route of the application has found out. */
  owner: string
  /** All messages of the chat. The last one is the question. They come from the page. */
  messages: M[]
  trigger: 'submit-message' | 'regenerate-message'
  messageId?: string
  /** What the transport of the page sends along. It comes from the page. */
  body?: Record<string, unknown>
  /** How many tokens the earlier turns of the chat used. */
  spent: number
}

/** The tokens of a turn. A call that a crash interrupted is not counted, because its provider has not reported it. */
export interface TokenUsage {
  inputTokens: number
  outputTokens: number
  totalTokens: number
}

/** What the job of a turn returns. */
export interface ChatAnswer {
  text: string
  finishReason: FinishReason
  usage: TokenUsage
}

/** A call of a tool. */
export interface ChatToolCall {
  toolCallId: string
  toolName: string
  input: unknown
}

type ModelSettings = Parameters<typeof streamText>[0]

/** What a model is asked with, in addition to the messages. The options of `streamText`. */
export type ChatSettings = Pick<
  ModelSettings,
  | 'maxOutputTokens'
  | 'temperature'
  | 'topP'
  | 'topK'
  | 'presencePenalty'
  | 'frequencyPenalty'
  | 'stopSequences'
  | 'seed'
  | 'headers'
  | 'maxRetries'
  | 'providerOptions'
>

export interface AnswerOptions extends ChatSettings {
  model: LanguageModel
  instructions?: string
  /** Each tool needs `execute`, which runs once as a sub-step of the job. Use `toolCallId` of its options as the key for services that detect repeats. */
  tools?: ToolSet
  /** Which calls of tools a person must approve: names of tools, or a function. Default: none. */
  needsApproval?: readonly string[] | ((call: ChatToolCall) => boolean | Promise<boolean>)
  /** How long a call waits for its approval, in milliseconds. After that, it counts as refused. Default: no limit. */
  approvalTimeout?: number
  /** How each call of a tool is retried, and how long it may take. */
  toolOptions?: StepOptions
  /** How often the model is called in a turn. After the last call, tools are not used any more. Default 20. */
  maxCalls?: number
  /** How many tokens a turn, and all turns of the chat together, may use. Over it, the job fails with `AI_BUDGET_EXCEEDED`. */
  budget?: { turn?: number; chat?: number }
  /** Changes the messages before the model reads them, for example to drop old ones. It must return the same for the same messages. */
  prepareMessages?: (messages: ModelMessage[]) => ModelMessage[] | Promise<ModelMessage[]>
  /** Whether readers see what the model thinks. Default true. */
  sendReasoning?: boolean
  /** Whether readers see the sources of the answer. Default false. */
  sendSources?: boolean
  /** Milliseconds of the answer that become one event. Default 50. */
  interval?: number
}

/** The options, or a function that returns them for a turn. It is called in each attempt. */
export type AnswerOptionsOf =
  | AnswerOptions
  | ((turn: ChatTurn, ctx: RunContext) => AnswerOptions | Promise<AnswerOptions>)
