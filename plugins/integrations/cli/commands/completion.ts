import type { ArgsDef, CommandDef } from 'citty'
import { QueueError } from '../../../../kernel/index.ts'
import { common } from '../arguments.ts'
import { command, type Commands } from './define.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const

/** A command, as a shell completes it. */
interface Completed {
  name: string
  description: string
  options: readonly { flag: string; description: string }[]
}

export function createCompletion(commands: Commands): CommandDef {
  return command(
    'Print a script that completes commands and options in your shell',
    { shell: { type: 'positional', required: true, description: SHELLS.join(', ') } },
    async ({ shell }) => {
      const known = SHELLS.find((candidate) => candidate === shell)
      if (!known) throw new QueueError('OPTION_INVALID', `completion takes ${SHELLS.join(', ')}; got "${shell}".`)
      process.stdout.write(SCRIPTS[known](Object.entries(commands).map(completed)))
    },
    ['completion bash >> ~/.bashrc', 'completion fish > ~/.config/fish/completions/nuxt-queue.fish'],
  )
}

function completed([name, { meta, args }]: [string, CommandDef]): Completed {
  const all: ArgsDef = { ...(args as ArgsDef), ...common }
  const options = Object.entries(all).flatMap(([option, { type, description = '' }]) =>
    type === 'positional' ? [] : [{ flag: `--${option}`, description }],
  )
  return { name, description: (meta as { description: string }).description, options }
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

const SCRIPTS: Record<(typeof SHELLS)[number], (commands: readonly Completed[]) => string> = {
  bash: (commands) => `_nuxt_queue() {
  local word="\${COMP_WORDS[COMP_CWORD]}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W ${quoted(commands.map(({ name }) => name).join(' '))} -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${commands.map(({ name, options }) => `    ${name}) COMPREPLY=($(compgen -W ${quoted(options.map(({ flag }) => flag).join(' '))} -- "$word")) ;;`).join('\n')}
  esac
}
complete -o default -F _nuxt_queue nuxt-queue
`,
  zsh: (commands) => `#compdef nuxt-queue
_nuxt_queue() {
  if (( CURRENT == 2 )); then
    local -a commands=(${commands.map(({ name, description }) => quoted(`${name}:${description}`)).join(' ')})
    _describe command commands
    return
  fi
  case "$words[2]" in
${commands.map(({ name, options }) => `    ${name}) _arguments ${options.map(({ flag, description }) => quoted(`${flag}[${description.replaceAll(/[[\]:]/g, ' ')}]`)).join(' ')} '*:file:_files' ;;`).join('\n')}
  esac
}
compdef _nuxt_queue nuxt-queue
`,
  fish: (commands) =>
    commands
      .flatMap(({ name, description, options }) => [
        `complete -c nuxt-queue -n __fish_use_subcommand -a ${name} -d ${quoted(description)}`,
        ...options.map(
          (option) =>
            `complete -c nuxt-queue -n ${quoted(`__fish_seen_subcommand_from ${name}`)} -l ${option.flag.slice(2)} -d ${quoted(option.description)}`,
        ),
      ])
      .join('\n') + '\n',
}
