import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createLineReader } from '../../plugins/runtimes/lib/child-process/lines.ts'
import { environmentOf, processOptions } from '../../plugins/runtimes/lib/child-process/options.ts'
import { spawnProcess } from '../../plugins/runtimes/lib/child-process/spawn.ts'
import { createSupervisor } from '../../plugins/runtimes/lib/child-process/supervisor.ts'
import { conversationsOf } from '../fixtures/runtime/conversations.ts'
import { CHILD_COMMANDS } from '../fixtures/runtime/commands.ts'
import { emptyContext } from '../fixtures/runtime/empty-context.ts'
import { createMutator } from '../fixtures/runtime/mutate.ts'
import { openPuppet } from '../unit/lib/child-process/puppet.ts'

/** The maximum number of frames for one execution. */
const PATIENCE = 500
const SEED = 20_261_125

/** The messages of one side in all conversations. */
function saidBy(speaker: 'host' | 'child'): string[] {
  return conversationsOf(speaker === 'host' ? 'child' : 'host')
    .flatMap(({ frames }) => frames)
    .flatMap(([side, script]) => (side === speaker ? [JSON.stringify(script)] : []))
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** Registers tests that send the given number of nearly valid frames to each side. */
export function nearlyRightFrames(count: number): void {
  describe('nearly valid frames', () => {
    it(`never leave the host waiting, ${count} of them`, async () => {
      const next = createMutator(saidBy('child'), SEED)
      const outcomes = { answered: 0, refused: 0 }
      let sent = 0
      while (sent < count) {
        const puppet = openPuppet()
        puppet.say({ jsonrpc: '2.0', id: 1, result: { protocol: 1, runtime: { name: 'x', version: 'x' } } })
        await puppet.child.ready
        const before = outcomes.answered + outcomes.refused
        const executed = puppet.child.execute(emptyContext()).then(
          () => void outcomes.answered++,
          () => void outcomes.refused++,
        )
        const waits = (): boolean => outcomes.answered + outcomes.refused === before
        for (let frames = 0; frames < PATIENCE && waits(); frames++, sent++) {
          puppet.write(next())
          if (frames % 4 === 0) await turn()
        }
        await puppet.close()
        await executed
      }
      expect(outcomes.refused).toBeGreaterThan(count / 100)
      expect(outcomes.answered).toBeGreaterThan(count / 10_000)
      expect(Object.prototype).not.toHaveProperty('polluted')
    })

    it.each(CHILD_COMMANDS.filter(({ name }) => name !== 'Perl'))(
      `do not confuse the $name child, ${count} of them`,
      async ({ folder, extension, command, env: more }) => {
        const file = join(import.meta.dirname, '../fixtures/runtime', folder, `nothing.${extension}`)
        const [program, ...args] = command(file)
        const supervisor = createSupervisor()
        const env = { ...environmentOf(processOptions.parse({})), ...more }
        const child = await spawnProcess({ command: program, args, env, channel: 'fd' }, supervisor)
        const replies: unknown[] = []
        const pong = Promise.withResolvers<void>()
        const { push } = createLineReader({
          max: Infinity,
          onLine(line) {
            const message = JSON.parse(line) as { id?: unknown }
            replies.push(message)
            if (message.id === 'the end') pong.resolve()
          },
        })
        child.input!.on('data', push)
        void child.exited.then((exit) => pong.reject(new Error(`It ended early: ${JSON.stringify(exit)}`)))
        const next = createMutator(saidBy('host'), SEED)
        for (let sent = 0; sent < count; sent++) {
          if (!child.output!.write(next())) await new Promise((resolve) => child.output!.once('drain', resolve))
        }
        child.output!.write(`${JSON.stringify({ jsonrpc: '2.0', id: 'the end', method: 'ping' })}\n`)
        await pong.promise
        expect(replies.length).toBeGreaterThan(count / 100)
        child.output!.end()
        expect(await child.exited).toEqual({ code: 0, signal: null })
        supervisor.close()
      },
    )
  })
}
