import { defineCommand, type ArgsDef, type CommandDef } from 'citty'
import { resolve } from 'pathe'
import { assertKnown, common, isHistoryFile } from '../arguments.ts'
import { openBackend, type Host } from '../backend.ts'
import { openHistory, type OpenedHistory } from '../history.ts'
import { createOutput, type Output } from '../output.ts'
import type { Backend } from '../protocol.ts'

/** Thrown by a command that has already printed its result, which is a failure. */
export const unsuccessful = new Error('unsuccessful')

/** The values that a command receives in addition to its own arguments. */
export interface CommandCall {
  cwd: string
  output: Output
}
export type Commands = Record<string, CommandDef>
type Given = Record<string, unknown> & { _: string[]; json?: boolean; cwd?: string }
type Run<A extends ArgsDef> = (
  args: Parameters<NonNullable<CommandDef<A & typeof common>['run']>>[0]['args'],
  call: CommandCall,
) => Promise<void>

/**
 * Defines a command with the shared arguments, and checks its arguments.
 *
 * @param examples command lines for `--help`, without `nuxt-queue`
 */
export function command<const A extends ArgsDef>(
  description: string,
  args: A,
  run: Run<A>,
  examples: readonly string[] = [],
): CommandDef {
  const all = { ...args, ...common }
  return defineCommand({
    meta: { description, examples } as CommandDef['meta'],
    args: all,
    async run({ args: parsed }) {
      const given = parsed as Given
      assertKnown(given, all)
      await run(parsed as never, { cwd: resolve(given.cwd ?? '.'), output: createOutput(given.json === true) })
    },
  }) as CommandDef
}

export function examplesOf(definition: CommandDef): readonly string[] {
  return (definition.meta as { examples?: readonly string[] }).examples ?? []
}

async function using<B extends Backend, T>(opening: Promise<B>, use: (backend: B) => Promise<T>): Promise<T> {
  const backend = await opening
  try {
    return await use(backend)
  } finally {
    await backend.close()
  }
}

/** Opens the backend of a command, and closes it when the command has ended. */
export interface Opener {
  /** The dev process or the store of a folder. */
  project<T>(cwd: string, use: (backend: Backend) => Promise<T>): Promise<T>
  history<T>(file: string, cwd: string, use: (history: OpenedHistory) => Promise<T>): Promise<T>
  /** The given history file, or the project. */
  run<T>(run: string, cwd: string, use: (backend: Backend & { runId: string }) => Promise<T>): Promise<T>
}

export function createOpener(host: Host): Opener {
  const project: Opener['project'] = (cwd, use) => using(openBackend(host, cwd), use)

  async function openFile(file: string, cwd: string): Promise<OpenedHistory> {
    const { upcast } = await host.loadQueueConfig({ cwd })
    return openHistory(resolve(cwd, file), await host.memory(), cwd, { upcast })
  }
  const history: Opener['history'] = (file, cwd, use) => using(openFile(file, cwd), use)

  return {
    project,
    history,
    run: (run, cwd, use) =>
      isHistoryFile(run) ? history(run, cwd, use) : project(cwd, (backend) => use({ ...backend, runId: run })),
  }
}
