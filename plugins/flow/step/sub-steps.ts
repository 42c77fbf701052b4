import { fitText, type Deferral, type PluginKernel, type RunContext } from '../../../kernel/index.ts'
import { openChannel } from '../../lib/channel.ts'
import { createStepRunner } from '../../lib/sub-steps.ts'
import { over, type PauseState } from '../../lib/suspension.ts'
import type { EventWait, SubSteps, Wait } from './api.ts'
import { createRecord, type StepRecord } from './record.ts'
import type { MemosOf } from './memos.ts'
import { requestOf } from './request.ts'

const channel = openChannel('step')

/** Escapes names of handlers, so that they never equal internal names such as `(before)` and `(flow) …`. */
const own = (name: string): string => (name.startsWith('(') ? `(${name}` : name)

interface SubStepOptions {
  grace: number
  memosOf: MemosOf
  /** Called once with the recorded sub-steps of the attempt. */
  onUse(record: StepRecord): void
}

export function createSubSteps(
  kernel: PluginKernel,
  ctx: RunContext,
  { grace, memosOf, onUse }: SubStepOptions,
): SubSteps {
  const kept = createRecord(kernel, ctx, memosOf)
  onUse(kept)
  /** One deferral for all concurrent waits of the handler. It is due with the first of them. */
  let deferral: Deferral | undefined

  function deferUntil(moment: number): void {
    deferral ??= Object.assign(ctx.defer({ until: moment }), { waits: true })
    if (moment < deferral.runAt) Object.assign(deferral, { runAt: moment })
  }

  async function look(name: string, asked: Wait): Promise<PauseState> {
    const memo = await kept.recall(name, 'wait')
    const known = memo?.kind === 'wait' ? memo.result : undefined
    const status = await kernel.waits.look(ctx, name, () => requestOf(asked, kernel.clock.now()), {
      known,
      past: kept.past(name),
    })
    if (!status.over) {
      deferUntil(status.wakeAt)
      return { over: false, until: status.wakeAt }
    }
    if (!memo) await kept.keepWait(name, { kind: 'wait', seq: status.seq, result: status.result })
    return over(status.result.payload)
  }

  const {
    run: runStep,
    pause,
    uniqueName,
  } = createStepRunner({
    lookup: (name) => kept.lookup(own(name)),
    record: (name, result) => kept.record(own(name), result),
    fail: (name, error) => kept.fail(own(name), error),
    suspend: () => ctx.leave?.(deferral!),
    signal: () => ctx.signal,
    clock: kernel.clock,
    grace,
    invocation: () => ctx.invocation,
    track: (promise) => void ctx.track(promise),
  })
  const run: SubSteps['run'] = (name, fn, options) => {
    if (!channel.isHeard) return runStep(name, fn, options)
    return runStep(name, (attempt) => channel.trace({ name, ctx }, () => fn(attempt)), options)
  }
  const ask = async (given: string, asked: Wait): Promise<unknown> => {
    const name = own(uniqueName(given))
    return pause(() => look(name, asked))
  }

  return {
    run,
    async sleep(name, until) {
      await ask(name, { kind: 'sleep', ...(until instanceof Date ? { until: until.getTime() } : { delay: until }) })
    },
    waitForEvent: <T>(name: string, options: EventWait) =>
      ask(name, { kind: 'event', ...options }) as Promise<T | undefined>,
    waitForSignal: <T>(name: string, { timeout }: { timeout?: number } = {}) =>
      ask(name, { kind: 'event', event: name, key: fitText(ctx.runId), timeout }) as Promise<T | undefined>,
    lookup: (name) => kept.lookup(own(name)),
    record: (name, result) => ctx.track(kept.record(own(name), result)),
    fail: (name, error) => ctx.track(kept.fail(own(name), error)),
    wait: (name, asked) => ctx.track(look(own(name), asked)),
    look,
    pause,
    deferral: () => deferral,
  }
}
