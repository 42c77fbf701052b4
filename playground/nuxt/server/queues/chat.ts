import { tool } from 'ai'
import { defineQueueWorker, defineWorkerConfig } from 'nuxt-queue'
import { answerChat } from 'nuxt-queue/ai/server'
import { z } from 'zod'
import { localModel } from '../lib/local-model.ts'

export const config = defineWorkerConfig({ concurrency: 20, attempts: 3, backoff: 500 })

const refund = tool({
  description: 'Refunds an order.',
  inputSchema: z.object({ order: z.string(), cents: z.number().int() }),
  execute: ({ order, cents }, { toolCallId }) => ({ order, cents, receipt: toolCallId }),
})

export default defineQueueWorker(
  answerChat({
    model: localModel,
    tools: { refund },
    needsApproval: ['refund'],
    budget: { turn: 5_000, chat: 20_000 },
  }),
)
