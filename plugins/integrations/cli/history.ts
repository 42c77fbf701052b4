import { createKernel, definePlugin, type PluginSections, type Preset } from '../../../kernel/index.ts'
import { readHistory } from '../../observability/lib/history.ts'
import { cloneValue } from '../../lib/value.ts'
import { createAnswers, type Answers } from './answers.ts'
import type { Backend } from './protocol.ts'
import type { Recording } from './replay.ts'
import type { Method } from './requests.ts'

/** A run from a file. It handles the same requests as other backends, and can be stepped through. */
export type OpenedHistory = Backend & { runId: string; recording: Recording }

/**
 * Opens the history of a run as if it were still in the store. Its events are appended to a store in memory, at the
 * times at which they were recorded.
 *
 * @param options.upcast the section of the configuration that reads events of older versions
 * @throws QueueError `HISTORY_INVALID`
 */
export async function openHistory(
  file: string,
  memory: Preset,
  cwd: string,
  { upcast }: { upcast?: PluginSections['upcast'] } = {},
): Promise<OpenedHistory> {
  const { run, events } = await readHistory(file)
  const { runId, status, name, queue, jobId, flow, tags } = run
  let now = run.startedAt
  const recordedTime = definePlugin({
    name: 'recorded-time',
    enforce: 'pre',
    setup: (kernel) => kernel.provide('clock', { now: () => now, setTimeout: () => () => {} }),
  })
  const config = { payloadLimit: Infinity, registry: { dirs: [] }, ...(upcast && { upcast }) }
  const kernel = await createKernel({ preset: memory, plugins: [recordedTime], config })
  const store = kernel.port('events')
  for (const [index, event] of events.entries()) {
    now = event.ts
    const begins = index === 0 && { status: 'running' as const, name, queue, jobId, flow, tags }
    // An ended run accepts no more events, so its end is appended last.
    const ends = index === events.length - 1 && { status }
    const patch = { ...begins, ...ends }
    await store.append(runId, [event], Object.keys(patch).length > 0 ? { run: patch } : {})
  }
  const recording: Recording = {
    run,
    events,
    async *states() {
      const state = Object.create(null) as Record<string, unknown>
      for (const event of events) {
        await kernel.reduce({ runId, events: [{ ...event, runId, id: `${runId}:${event.seq}` }], at: event.seq, state })
        yield cloneValue({ ...state })
      }
    },
    stateAt: (seq) => kernel.state(runId, { at: seq }),
  }
  return { runId, recording, ...kernelBackend(createAnswers(kernel, cwd), async () => void (await kernel.close())) }
}

/** Wraps a kernel in this process with the interface of a kernel behind a socket. */
export function kernelBackend(answers: Answers, close: () => Promise<void>): Backend {
  return { ask: (method: Method, params: never) => answers[method](params) as Promise<never>, close }
}
