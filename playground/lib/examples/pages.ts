import type { Example } from './example.ts'

/** Counts a thousand pages of real rows in parallel, and adds the counts up when all pages are done. */
export const pages: Example = {
  async run(kernel, print) {
    const flow = kernel.flow('pages')
    const began = performance.now()
    const { runId } = await flow.start({ pages: 1000 })
    const total = (await flow.result(runId)) as { pages: number; rows: number; letters: number }
    const ms = Math.round(performance.now() - began)
    print(`${total.pages} pages with ${total.rows} rows and ${total.letters} letters in ${ms} ms`)
    return total
  },
}
