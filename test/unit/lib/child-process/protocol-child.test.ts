import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createLineReader } from '../../../../plugins/runtimes/lib/child-process/lines.ts'
import { environmentOf, processOptions } from '../../../../plugins/runtimes/lib/child-process/options.ts'
import { spawnProcess } from '../../../../plugins/runtimes/lib/child-process/spawn.ts'
import { createSupervisor } from '../../../../plugins/runtimes/lib/child-process/supervisor.ts'
import { abstract, concrete, conversationsOf } from '../../../fixtures/runtime/conversations.ts'
import { CHILD_COMMANDS } from '../../../fixtures/runtime/commands.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/runtime')
const env = environmentOf(processOptions.parse({}))

describe.each(CHILD_COMMANDS)('the $name child', ({ folder, extension, command, env: more, lacks }) => {
  test.each(conversationsOf('child', lacks).map((one) => [one.name, one] as const))(
    '%s',
    async (_name, { worker, frames }) => {
      const file = join(FIXTURES, folder, `${worker}.${extension}`)
      const supervisor = createSupervisor()
      const [program, ...args] = command(file)
      const child = await spawnProcess({ command: program, args, env: { ...env, ...more }, channel: 'fd' }, supervisor)
      onTestFinished(async () => {
        child.kill()
        await child.exited
        supervisor.close()
      })
      const lines = linesOf(child.input!)
      const said: unknown[] = []
      for (const [side, script] of frames) {
        if (side === 'child') said.push(abstract(JSON.parse(await lines.next()), script))
        else child.output!.write(`${typeof script === 'string' ? script : JSON.stringify(concrete(script, file))}\n`)
      }
      expect(said).toEqual(frames.flatMap(([side, script]) => (side === 'child' ? [script] : [])))
      child.output!.end()
      expect(await child.exited).toEqual({ code: 0, signal: null })
    },
  )
})

function linesOf(stream: NodeJS.ReadableStream) {
  const lines: string[] = []
  const waiting: ((line: string) => void)[] = []
  const { push } = createLineReader({
    max: Infinity,
    onLine(line) {
      const next = waiting.shift()
      if (next) next(line)
      else lines.push(line)
    },
  })
  stream.on('data', push)
  return {
    next: () => new Promise<string>((resolve) => (lines.length > 0 ? resolve(lines.shift()!) : waiting.push(resolve))),
  }
}
