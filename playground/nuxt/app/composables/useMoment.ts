/**
 * Returns the current state of a run, or its state after the selected event. The current state comes from the events of the page. An
 * earlier state is requested from the server.
 */
export function useMoment(runId: () => string, head: Ref<number>, live: () => Partial<Strikes>) {
  const client = useQueueClient()
  const at = ref<number>()
  const earlier = shallowRef<Partial<Strikes>>({})
  const problem = ref('')

  async function ask(seq: number): Promise<void> {
    try {
      const state = await client.runs.state(runId(), { at: seq })
      // The slider may have moved during the request.
      if (at.value === seq) earlier.value = state
    } catch (error) {
      if (at.value === seq) problem.value = (error as Error).message
    }
  }

  return {
    /** `undefined` means the newest event. */
    at,
    problem,
    shown: computed(() => (at.value === undefined ? live() : earlier.value)),
    choose(seq: number | undefined): void {
      at.value = seq === undefined || seq < 1 ? undefined : Math.min(seq, head.value)
      problem.value = ''
      if (at.value !== undefined) void ask(at.value)
    },
  }
}
