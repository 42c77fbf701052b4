import { readFile } from 'node:fs/promises'
import { join } from 'pathe'
import { ROOT } from '../e2e/processes.ts'

/** The files that a reader of a page creates, and the commands that the reader runs. */
export interface Guide {
  /** The contents of the blocks whose first line names a file, by file name. */
  files: Record<string, string>
  /** The shell commands, without comments and without commands that create a folder or install packages. */
  commands: string[]
}

const BLOCK = /^```(\w*)\n([^]*?)^```$/gm
const TITLE = /^(?:\/\/|#|<!--) ([\w./[\]-]+\.(?:ts|py|vue))(?: -->)?\n/
const PREPARES = /^(?:mkdir|npm) /

/** Reads a page of the documentation, or what is below one of its headings. */
export async function readGuide(page: string, heading?: string): Promise<Guide> {
  const text = await readFile(join(ROOT, 'docs', page), 'utf8')
  const part = heading === undefined ? text : text.split(/^## /m).find((section) => section.startsWith(`${heading}\n`))
  if (part === undefined) throw new Error(`${page} has no heading "${heading!}".`)
  const guide: Guide = { files: {}, commands: [] }
  for (const [, language, code] of part.matchAll(BLOCK)) {
    const name = TITLE.exec(code!)?.[1]
    if (name !== undefined && name in guide.files) throw new Error(`${page} has two blocks named "${name}".`)
    if (name !== undefined) guide.files[name] = code!
    if (language === '') guide.commands.push(...commandsIn(code!))
  }
  return guide
}

function commandsIn(block: string): string[] {
  const lines = block.split('\n').map((line) => line.replace(/ +#.*$/, '').trim())
  return lines.filter((line) => line !== '' && !PREPARES.test(line))
}

/** Returns the one command that matches. */
export function commandOf({ commands }: Guide, pattern: RegExp): string {
  const found = commands.filter((command) => pattern.test(command))
  if (found.length !== 1) throw new Error(`${found.length} commands match ${String(pattern)}: ${commands.join('; ')}`)
  return found[0]!
}
