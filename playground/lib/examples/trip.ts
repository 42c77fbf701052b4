import type { Example } from './example.ts'

/** A trip that is booked, and one whose last step fails, so that the others are undone. */
export const trip: Example = {
  async run(kernel, print) {
    const flow = kernel.flow('trip')
    const told: unknown[] = []
    for (const to of ['Lisbon', 'Atlantis']) {
      const { runId } = await flow.start({ to })
      const outcome = await flow.result(runId).then(
        (result) => `${to}: booked, ${JSON.stringify(result)}`,
        (error: Error) => `${to}: ${error.message}`,
      )
      const { undone } = (await kernel.state(runId)) as { undone?: string[] }
      print(undone ? `${outcome}; undone: ${undone.join(', ')}` : outcome)
      told.push({ outcome, undone })
    }
    return told
  },
}
