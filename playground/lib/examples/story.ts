import type { Example } from './example.ts'

/** Sends each word to the clients that follow the run as soon as it is known. */
export const story: Example = {
  async run(kernel, print) {
    const id = `story-${Date.now()}`
    const words: string[] = []
    const unsubscribe = await kernel.port('events').subscribe(
      id,
      {
        onMessage({ type, data }) {
          const { type: name, data: word } = data as { type: string; data: string }
          if (type === 'client' && name === 'token') words.push(word)
        },
      },
      () => {},
    )
    const job = await kernel.enqueue('story/tell', { about: 'queue' }, { runId: id })
    const whole = await kernel.result(job)
    unsubscribe()
    print(words.join('').trim())
    return { words: words.length, whole }
  },
}
