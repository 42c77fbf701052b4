/** The page of the command line, made from the definitions of the commands. */
import type { ArgDef, CommandDef } from 'citty'
import type { Host } from '../../plugins/integrations/cli/backend.ts'
import { examplesOf } from '../../plugins/integrations/cli/commands/define.ts'
import { createCommands } from '../../plugins/integrations/cli/commands/index.ts'
import { code, inCell, page, prose, table } from './markdown.ts'

function flagOf(name: string, argument: ArgDef): string {
  if (argument.type === 'positional') return code(argument.required === false ? `[${name}]` : `<${name}>`)
  const { alias = [], valueHint } = argument as { alias?: string | string[]; valueHint?: string }
  const short = [alias]
    .flat()
    .map((one) => `-${one}, `)
    .join('')
  return code(`${short}--${name}${argument.type === 'boolean' ? '' : ` <${valueHint ?? 'text'}>`}`)
}

function argumentRows(command: CommandDef): string[][] {
  return Object.entries((command.args ?? {}) as Record<string, ArgDef>)
    .filter(([name]) => name !== 'json' && name !== 'cwd')
    .map(([name, argument]) => [
      flagOf(name, argument),
      inCell(argument.description ?? ''),
      argument.default === undefined ? '–' : code(String(argument.default)),
    ])
}

export function cli(): string {
  const commands = Object.entries(createCommands({} as Host))
  const sections = commands.flatMap(([name, command]) => {
    const rows = argumentRows(command)
    const examples = examplesOf(command).map((example) => `npx nuxt-queue ${example}`)
    const { description } = command.meta as { description: string }
    return [
      `## \`${name}\``,
      `${prose(description)}.`,
      examples.length > 0 ? `\`\`\`sh\n${examples.join('\n')}\n\`\`\`` : undefined,
      rows.length > 0 ? table(['argument', 'meaning', 'default'], rows) : undefined,
    ]
  })
  return page('Command line', [
    `\`npx nuxt-queue <command>\`. Every command takes \`--json\`, which prints only one JSON value, and \`--cwd <folder>\`. The exit code is 0 for success, 1 for a failure, and 2 for a command line that is not valid. [cli](../../plugins/integrations/cli/README.md) says which process or store a command talks to.`,
    '```sh\nnpx nuxt-queue dev\nnpx nuxt-queue runs --status failed --limit 5\n```',
    ...sections,
  ])
}
