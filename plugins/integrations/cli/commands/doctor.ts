import { colors } from 'consola/utils'
import { serializeError, type Diagnosis } from '../../../../kernel/index.ts'
import { openBackend, type Host } from '../backend.ts'
import type { Output } from '../output.ts'
import { command, unsuccessful, type Commands } from './define.ts'

const SYMBOLS = { ok: colors.green('✔'), warning: colors.yellow('!'), problem: colors.red('✖') } as const
const SILENT_REPORTER = { warn() {}, error() {} }

export function doctorCommand(host: Host): Commands {
  return {
    doctor: command(
      'Check the store, its settings, versions, queues and workers, and suggest fixes',
      { strict: { type: 'boolean', description: 'Also fail on warnings' } },
      async ({ strict = false }, { cwd, output }) => {
        const found = await diagnose(host, cwd)
        const problems = found.filter(({ level }) => level === 'problem').length
        const warnings = found.filter(({ level }) => level === 'warning').length
        print(found, output)
        output.line(`${count(problems, 'problem')}, ${count(warnings, 'warning')}.`)
        if (problems > 0 || (strict && warnings > 0)) throw unsuccessful
      },
      ['doctor', 'doctor --strict --json'],
    ),
  }
}

/** If the system cannot even be opened, that is a finding as well. */
async function diagnose(host: Host, cwd: string): Promise<Diagnosis[]> {
  try {
    // The findings include everything that plugins report at their start.
    const backend = await openBackend(host, cwd, SILENT_REPORTER)
    try {
      return await backend.ask('doctor', {})
    } finally {
      await backend.close()
    }
  } catch (error) {
    const { message, code } = serializeError(error)
    return [{ check: code ?? 'start', level: 'problem', message }]
  }
}

function print(found: readonly Diagnosis[], output: Output): void {
  if (output.json) return output.value(found)
  for (const { check, level, message, hint } of found) {
    output.line(`${SYMBOLS[level]} ${message} ${colors.dim(check)}`)
    if (hint !== undefined) output.line(`  ${hint}`)
  }
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
