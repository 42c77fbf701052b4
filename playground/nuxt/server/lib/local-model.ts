import { setTimeout as sleep } from 'node:timers/promises'
import type { LanguageModel } from 'ai'

type Model = Extract<LanguageModel, { specificationVersion: 'v4' }>
type Options = Parameters<Model['doStream']>[0]
type Part = Awaited<ReturnType<Model['doStream']>>['stream'] extends ReadableStream<infer P> ? P : never

/** Milliseconds between two words. */
const PACE = Number(process.env.PLAYGROUND_WORD_MS ?? 55)

const ANSWERS: readonly [about: RegExp, answer: string][] = [
  [
    /refund/i,
    'The refund needs a person, so this run now waits for you, without occupying a process. Restart the server if you like: the question stays open.',
  ],
  [
    /kill|restart|crash|reload|safe/i,
    'As safe as any job. Every fifty milliseconds, my words become an event of a run. A reload reads them again from the beginning, and a second tab reads them too. If the server dies, its successor claims the job and asks me again. As long as I say what you have already read, nothing moves on your screen, and the sentence simply goes on. A real model may choose other words, and then the new words replace the old ones. In no case do you read anything twice.',
  ],
]
const OTHERWISE =
  'I am a small model that runs inside this server, so I need no key and know very little. What I can show is how an answer is written: it is a job in a queue. Each call of a model and each call of a tool is a step whose result is recorded, and the words that you see are events of the run. Reload this page while I write, open it a second time, or kill the server in the middle of this sentence, and watch how the answer ends as it would have. Ask me for a refund to see a tool that a person has to approve.'

/** A model for demonstrations. It says the same for the same messages, word by word. */
export const localModel: Model = {
  specificationVersion: 'v4',
  provider: 'playground',
  modelId: 'local',
  supportedUrls: {},
  doGenerate: () => Promise.reject(new Error('The model of the playground only streams.')),
  doStream: (options) => Promise.resolve({ stream: streamOf(options) }),
}

function streamOf(options: Options): ReadableStream<Part> {
  const parts = write(options)
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await parts.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: () => void parts.return(undefined),
  })
}

async function* write({ prompt, abortSignal }: Options): AsyncGenerator<Part, void, undefined> {
  const last = prompt.at(-1)!
  const question = textOf(prompt.findLast(({ role }) => role === 'user'))
  const wantsRefund = /refund/i.test(question) && last.role === 'user'
  const words = (last.role === 'tool' ? outcomeOf(last) : answerTo(question)).split(/(?<= )/)
  yield { type: 'stream-start', warnings: [] }
  yield { type: 'text-start', id: 'text' }
  for (const delta of words) {
    await sleep(PACE, undefined, { signal: abortSignal })
    yield { type: 'text-delta', id: 'text', delta }
  }
  yield { type: 'text-end', id: 'text' }
  const input = JSON.stringify({ order: /\b[A-Z]\d+\b/.exec(question)?.[0] ?? 'A1', cents: 4900 })
  if (wantsRefund) yield { type: 'tool-call', toolCallId: `refund-${prompt.length}`, toolName: 'refund', input }
  yield {
    type: 'finish',
    finishReason: { unified: wantsRefund ? 'tool-calls' : 'stop', raw: undefined },
    usage: {
      inputTokens: { total: JSON.stringify(prompt).length >> 2, noCache: undefined, cacheRead: 0, cacheWrite: 0 },
      outputTokens: { total: words.length, text: words.length, reasoning: 0 },
    },
  }
}

function answerTo(question: string): string {
  return ANSWERS.find(([about]) => about.test(question))?.[1] ?? OTHERWISE
}

function textOf(message: Options['prompt'][number] | undefined): string {
  const { content = '' } = message ?? {}
  if (typeof content === 'string') return content
  return content.map((part) => (part.type === 'text' ? part.text : '')).join(' ')
}

function outcomeOf({ content }: Options['prompt'][number]): string {
  const [result] = typeof content === 'string' ? [] : content.filter((part) => part.type === 'tool-result')
  if (result?.output.type === 'execution-denied')
    return 'Understood, I do not refund anything. The order stays as it is.'
  if (result?.output.type === 'error-text') return 'The refund has failed, and nothing was paid out.'
  return 'Done. The money is on its way, and the step that sent it will never run a second time.'
}
