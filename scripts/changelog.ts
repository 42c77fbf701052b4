/**
 * Writes the section of the current version into `CHANGELOG.md`, from the commits since the newest tag. `npm version` runs it.
 * With `--print`, it prints the section instead, for the notes of a release.
 */
import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const HEADER = '# Changelog\n\nWritten by `npm run changelog` from the subjects of the commits.\n'

/** The kinds of commits that users notice, in the order of the sections. */
const SECTIONS = { feat: 'New', fix: 'Fixed', perf: 'Faster', docs: 'Documentation' } as const
const BREAKING = 'Breaking'

/**
 * Returns what users read of a subject: sentences without the reasons, which are for those who look into the history. What stands
 * after a semicolon is a line of its own.
 */
function linesOf(text: string): string[] {
  const parts = text.split(/; (?:and )?/).map((part) => part.replace(/,? (?:because|since) .*$/, ''))
  return parts.map((part) => `- ${part.charAt(0).toUpperCase()}${part.slice(1)}`.replace(/\.?$/, '.'))
}

/** Returns the section of a version as Markdown, or a line that says that users notice nothing. */
export function sectionOf(version: string, date: string, subjects: readonly string[]): string {
  const groups = new Map<string, string[]>([BREAKING, ...Object.values(SECTIONS)].map((title) => [title, []]))
  for (const subject of new Set(subjects)) {
    const [, kind, breaking, text] = /^(\w+)(?:\([^)]*\))?(!?): (.+)$/.exec(subject) ?? []
    const title = breaking === '!' ? BREAKING : SECTIONS[kind as keyof typeof SECTIONS]
    if (title !== undefined && text !== undefined) groups.get(title)!.push(...linesOf(text))
  }
  const filled = [...groups].filter(([, lines]) => lines.length > 0)
  const body = filled.map(([title, lines]) => `### ${title}\n\n${lines.join('\n')}\n`).join('\n')
  return `## ${version} (${date})\n\n${body || 'Nothing that users notice.\n'}`
}

/** Returns a changelog with a section at its top, in the place of an earlier section of the same version. */
export function withSection(changelog: string, section: string): string {
  const [title] = section.split(' (', 1)
  const others = changelog
    .split(/^(?=## )/m)
    .slice(1)
    .filter((other) => !other.startsWith(`${title} (`))
  return [HEADER, section, ...others].map((part) => part.trimEnd()).join('\n\n') + '\n'
}

/** Returns the subjects of the commits since the tag before `HEAD`, with the newest first. */
function subjects(): string[] {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' })
  const [before] = git('tag', '--merged', 'HEAD^', '--sort=-v:refname', 'v*').split('\n')
  return git('log', '--no-merges', '--format=%s', ...(before ? [`${before}..HEAD`] : [])).split('\n')
}

if (import.meta.main) {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  const section = sectionOf(version, new Date().toISOString().slice(0, 10), subjects())
  const file = join(ROOT, 'CHANGELOG.md')
  if (process.argv.includes('--print')) process.stdout.write(section)
  else await writeFile(file, withSection(await readFile(file, 'utf8').catch(() => ''), section))
}
