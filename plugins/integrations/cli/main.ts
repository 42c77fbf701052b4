import { stripVTControlCharacters } from 'node:util'
import { defineCommand, renderUsage, runCommand, type CommandDef } from 'citty'
import { isQueueError } from '../../../kernel/index.ts'
import type { Host } from './backend.ts'
import { createCommands } from './commands.ts'
import { createOutput } from './output.ts'

const EXIT = { ok: 0, failure: 1, usage: 2 } as const

/**
 * Runs a command line and returns its exit code: 0 for success, 1 for a failure, 2 for a command line that is not valid.
 */
export async function main(args: readonly string[], host: Host, version: string): Promise<number> {
  const commands = createCommands(host)
  const description = 'Job queues and flows: run workers, enqueue jobs, inspect runs'
  const root = defineCommand({ meta: { name: 'nuxt-queue', version, description }, subCommands: commands })
  const name = args.find((arg) => !arg.startsWith('-')) ?? ''
  const called = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (args.includes('--help') || args.includes('-h')) {
    const text = await usage(root, name, called)
    process.stdout.write(`${process.stdout.isTTY ? text : stripVTControlCharacters(text)}\n`)
    return EXIT.ok
  }
  if (args.includes('--version') && !called) {
    process.stdout.write(`${version}\n`)
    return EXIT.ok
  }
  try {
    await runCommand(root, { rawArgs: withValues(args) })
    return EXIT.ok
  } catch (error) {
    createOutput(args.includes('--json')).error(error)
    if (!isUsageError(error)) return EXIT.failure
    process.stderr.write(`\nSee: nuxt-queue ${called ? `${name} ` : ''}--help\n`)
    return EXIT.usage
  }
}

/** Lets `--http` stand without a value. The parser would otherwise take the next argument as its value. */
function withValues(args: readonly string[]): string[] {
  return args.map((arg, index) => (arg === '--http' && !/^[^-]/.test(args[index + 1] ?? '') ? '--http=' : arg))
}

function usage(root: CommandDef, name: string, called: CommandDef | undefined): Promise<string> {
  if (!called) return renderUsage(root)
  return renderUsage({ ...called, meta: { ...(called.meta as object), name } }, root)
}

function isUsageError(error: unknown): boolean {
  return isQueueError(error, 'OPTION_INVALID') || (error instanceof Error && error.name === 'CLIError')
}
