export { answerChat } from './answer-chat.ts'
export { handleChat, type HandleChatOptions } from './handle-chat.ts'
export type {
  AnswerOptions,
  AnswerOptionsOf,
  ChatAnswer,
  ChatSettings,
  ChatToolCall,
  ChatTurn,
  TokenUsage,
} from './options.ts'
export type { ChatQueue } from './turns.ts'
