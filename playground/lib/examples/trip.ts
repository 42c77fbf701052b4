import type { Example } from './example.ts'

/** Runs a trip that is booked, and a trip whose last step fails, so that its other steps are undone. */
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
