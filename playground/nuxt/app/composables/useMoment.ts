/**
 * The state of a run as it is, or as it was after an event that somebody has chosen. The first comes from the
 * events that the page has; the other is asked for.
 */
export function useMoment(runId: () => string, head: Ref<number>, live: () => Partial<Strikes>) {
  const client = useQueueClient()
  const at = ref<number>()
  const earlier = shallowRef<Partial<Strikes>>({})
  const problem = ref('')

  async function ask(seq: number): Promise<void> {
    try {
      const state = await client.runs.state(runId(), { at: seq })
      // While it came, the slider may have gone on.
      if (at.value === seq) earlier.value = state
    } catch (error) {
      if (at.value === seq) problem.value = (error as Error).message
    }
  }

  return {
    /** `undefined`: the newest, whichever that is. */
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
