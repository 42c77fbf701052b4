import { stripVTControlCharacters } from 'node:util'
import { defineCommand, renderUsage, runCommand, type CommandDef } from 'citty'
import { colors } from 'consola/utils'
import { didYouMean, isQueueError, QueueError } from '../../../kernel/index.ts'
import type { Host } from './backend.ts'
import { examplesOf, unsuccessful } from './commands/define.ts'
import { createCommands } from './commands/index.ts'
import { pageOf } from '../lib/error-page.ts'
import { createOutput } from './output.ts'

const EXIT = { ok: 0, failure: 1, usage: 2 } as const

/** The first steps, which `nuxt-queue --help` shows. */
const EXAMPLES = ['dev', `enqueue hello --data '{"name":"Ada"}' --wait`, 'runs --status failed', 'explain <job>']

/**
 * Runs a command line and returns its exit code: 0 for success, 1 for a failure, 2 for a command line that is not valid.
 */
export async function main(args: readonly string[], host: Host, version: string): Promise<number> {
  const commands = createCommands(host)
  const description = 'Job queues and flows: run workers, enqueue jobs, inspect runs'
  const root = defineCommand({ meta: { name: 'nuxt-queue', version, description }, subCommands: commands })
  const [first = '', second = ''] = args.filter((arg) => !arg.startsWith('-'))
  const name = first === 'help' ? second : first
  const called = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!called && args.some((arg) => arg === '--version' || arg === '-v')) {
    process.stdout.write(`${version}\n`)
    return EXIT.ok
  }
  if (args.length === 0 || first === 'help' || args.includes('--help') || args.includes('-h')) {
    const text = await usage(root, name, called)
    process.stdout.write(`${process.stdout.isTTY ? text : stripVTControlCharacters(text)}\n`)
    return EXIT.ok
  }
  try {
    if (first !== '' && !called) throw unknownCommand(first, Object.keys(commands))
    await runCommand(root, { rawArgs: withValues(args) })
    return EXIT.ok
  } catch (error) {
    if (error === unsuccessful) return EXIT.failure
    createOutput(args.includes('--json')).error(error)
    const usage = isUsageError(error)
    const see = usage ? `nuxt-queue ${called ? `${name} ` : ''}--help` : isQueueError(error) && pageOf(error.code)
    if (see && !args.includes('--json')) process.stderr.write(`\nSee: ${see}\n`)
    return usage ? EXIT.usage : EXIT.failure
  }
}

function unknownCommand(name: string, known: readonly string[]): QueueError {
  const message = `There is no command "${name}".${didYouMean(name, known)} The commands are ${known.join(', ')}.`
  return new QueueError('OPTION_INVALID', message)
}

/** Allows `--http` without a value. The parser would otherwise take the next argument as its value. */
function withValues(args: readonly string[]): string[] {
  return args.map((arg, index) => (arg === '--http' && !/^[^-]/.test(args[index + 1] ?? '') ? '--http=' : arg))
}

async function usage(root: CommandDef, name: string, called: CommandDef | undefined): Promise<string> {
  const text = called
    ? await renderUsage({ ...called, meta: { ...(called.meta as object), name } }, root)
    : (await renderUsage(root)).replace(/(USAGE\S* \S*nuxt-queue) [\w|-]+/, '$1 <command> [options]')
  const examples = (called ? examplesOf(called) : EXAMPLES).map((example) => `  nuxt-queue ${example}`)
  return `${text.trimEnd()}\n\n${colors.bold('EXAMPLES')}\n\n${examples.join('\n')}\n`
}

function isUsageError(error: unknown): boolean {
  return isQueueError(error, 'OPTION_INVALID') || (error instanceof Error && error.name === 'CLIError')
}
