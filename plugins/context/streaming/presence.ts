import type { Kernel, StreamMessage } from '../../../kernel/index.ts'

/** Published to the stream of a run: who follows it answers. */
export const QUESTION = '_who'
/** Where all answers go. */
const ANSWERS = '_presence'
/** How long other processes have to answer, in milliseconds. */
const PATIENCE = 200
/** Up to this age an answer is taken as it is, in milliseconds. */
const FRESH = 1_000
/** Up to this age it is given while another one is got. */
const USABLE = 10_000
/** How many runs are remembered. */
const MAX_RUNS = 1_000

interface Answer {
  value: boolean
  at: number
  asking?: Promise<boolean>
}

/**
 * Finds out whether another process follows a run. The processes know nothing of each other: a question goes
 * to the stream, which reaches those that follow it, and silence means that there is none.
 */
export function createPresence(kernel: Kernel, followedHere: (runId: string) => boolean) {
  const known = new Map<string, Answer>()
  const open = new Map<string, (value: boolean) => void>()
  const { clock } = kernel
  let listening: Promise<() => void> | undefined
  let closed = false

  function listen(): Promise<() => void> {
    const onMessage = ({ data }: StreamMessage): void => open.get((data as { question: string }).question)?.(true)
    const subscribed = Promise.resolve(kernel.port('events').subscribe(ANSWERS, { onMessage }, () => {}))
    // The next question tries again.
    subscribed.catch(() => (listening = undefined))
    return subscribed
  }

  async function question(runId: string): Promise<boolean> {
    await (listening ??= listen())
    const id = kernel.newId()
    const answered = Promise.withResolvers<boolean>()
    open.set(id, answered.resolve)
    const stop = clock.setTimeout(() => answered.resolve(false), PATIENCE)
    try {
      await kernel.port('events').publish(runId, [{ type: QUESTION, data: { question: id } }])
      return await answered.promise
    } finally {
      stop()
      open.delete(id)
    }
  }

  function refresh(runId: string, answer: Answer): Promise<boolean> {
    answer.asking ??= question(runId)
      .then((value) => {
        answer.at = clock.now()
        return (answer.value = value)
      })
      .finally(() => (answer.asking = undefined))
    return answer.asking
  }

  function recall(runId: string): Answer {
    const answer = known.get(runId) ?? { value: false, at: -Infinity }
    known.set(runId, answer)
    if (known.size > MAX_RUNS) known.delete(known.keys().next().value!)
    return answer
  }

  return {
    async ask(runId: string): Promise<boolean> {
      if (followedHere(runId)) return true
      if (closed || !kernel.port('events').capabilities.shared) return false
      const answer = recall(runId)
      const age = clock.now() - answer.at
      if (age < FRESH) return answer.value
      const refreshed = refresh(runId, answer)
      if (age > USABLE) return refreshed
      // What cannot be found out now will be asked again.
      refreshed.catch(() => {})
      return answer.value
    },
    /** Somebody asks who follows a run. */
    answer(runId: string, { data }: StreamMessage): void {
      if (!followedHere(runId)) return
      Promise.resolve(kernel.port('events').publish(ANSWERS, [{ type: '_here', data }])).catch(() => {})
    },
    close(): void {
      closed = true
      for (const resolve of open.values()) resolve(false)
      void listening?.then((stop) => stop()).catch(() => {})
    },
  }
}
