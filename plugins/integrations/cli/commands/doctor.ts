import { colors } from 'consola/utils'
import { serializeError, type Diagnosis, type Kernel } from '../../../../kernel/index.ts'
import { configOf, openBackend, openKernel, type Host } from '../backend.ts'
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
        report(await diagnose(host, cwd), strict, output)
      },
      ['doctor', 'doctor --strict --json'],
    ),
    'deploy-check': command(
      'Find open runs, waits and jobs in the store that the workers of this folder cannot carry on',
      { strict: { type: 'boolean', description: 'Also fail on warnings' } },
      async ({ strict = false }, { cwd, output }) => report(await checkDeploy(host, cwd), strict, output),
      ['deploy-check', 'deploy-check --strict --json'],
    ),
  }
}

/** Prints findings. @throws `unsuccessful` if they mean that the command fails */
function report(found: readonly Diagnosis[], strict: boolean, output: Output): void {
  const problems = found.filter(({ level }) => level === 'problem').length
  const warnings = found.filter(({ level }) => level === 'warning').length
  print(found, output)
  output.line(`${count(problems, 'problem')}, ${count(warnings, 'warning')}.`)
  if (problems > 0 || (strict && warnings > 0)) throw unsuccessful
}

function diagnose(host: Host, cwd: string): Promise<Diagnosis[]> {
  // The findings include everything that plugins report at their start.
  return findingsOf(openBackend(host, cwd, SILENT_REPORTER), (backend) => backend.ask('doctor', {}))
}

/** Opens the store with the code of the folder, even if a process with other code runs there. */
function checkDeploy(host: Host, cwd: string): Promise<Diagnosis[]> {
  const open = async (): Promise<Kernel> => openKernel(host, cwd, await configOf(host, cwd))
  return findingsOf(open(), (kernel) => kernel.checkDeploy())
}

/** If the system cannot even be opened, that is a finding as well. */
async function findingsOf<T extends { close(): Promise<unknown> }>(
  opening: Promise<T>,
  find: (opened: T) => Promise<Diagnosis[]>,
): Promise<Diagnosis[]> {
  try {
    const opened = await opening
    try {
      return await find(opened)
    } finally {
      await opened.close()
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
