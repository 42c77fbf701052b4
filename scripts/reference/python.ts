/** The page of the Python package, made from its signatures and docstrings. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'pathe'
import { page } from './markdown.ts'
import { ROOT } from './source.ts'

interface Definition {
  name: string
  signature: string
  doc: string
  /** The methods and properties of a class. */
  members: Definition[]
}

const FOLDER = 'python-sdk/src/nuxt_queue'
const BEGIN = /^( *)(?:async )?(?:def|class) (\w+)/

/** Returns the public functions and classes of a module. Overloads and the like occur once, with their docstring. */
function definitions(source: string): Definition[] {
  const lines = source.split('\n')
  const found: Definition[] = []
  for (let index = 0; index < lines.length; index++) {
    const [, indent, name] = BEGIN.exec(lines[index]!) ?? []
    if (name === undefined || (name.startsWith('_') && name !== '__call__')) continue
    let last = index
    while (!/:\s*(?:#.*)?$/.test(lines[last]!)) last++
    const isProperty = /^\s*@(?:cached_)?property/.test(lines[index - 1] ?? '')
    const signature = lines
      .slice(index, last + 1)
      .map((line) => line.trim())
      .join(' ')
      .replace(/:$/, '')
      .replaceAll(/\( /g, '(')
      .replaceAll(/,? \)/g, ')')
    const one = {
      name,
      signature: isProperty ? signature.replace(/def (\w+)\(self\) ->/, '$1:') : signature,
      doc: docAt(lines, last + 1),
      members: [],
    }
    if (indent === '') found.push(one)
    else if (indent!.length === 4 && found.length > 0 && one.doc !== '') found.at(-1)!.members.push(one)
  }
  return found.filter(({ doc }) => doc !== '')
}

function docAt(lines: readonly string[], index: number): string {
  if (!lines[index]?.trim().startsWith('"""')) return ''
  const text: string[] = []
  for (let at = index; at < lines.length; at++) {
    text.push(lines[at]!.trim().replace(/^"""/, ''))
    if (lines[at]!.trimEnd().endsWith('"""') && !(at === index && lines[at]!.trim() === '"""')) break
  }
  return text.join('\n').replace(/"""$/, '').trim()
}

function shown(doc: string): string {
  const [prose = '', ...rest] = doc.split(/\n(?=(?:Args|Raises|Returns|Example)s?:)/)
  const raises = rest.find((part) => part.startsWith('Raises'))?.replace(/^Raises:\s*/, '')
  const text = prose.replaceAll('``', '`')
  return raises ? `${text}\n\nRaises ${raises.replaceAll('``', '`').replaceAll(/\s+/g, ' ')}` : text
}

function render({ signature, doc }: Definition): string {
  return `\`\`\`python signature\n${signature}\n\`\`\`\n\n${shown(doc)}`
}

export function python(): string {
  const init = readFileSync(join(ROOT, FOLDER, '__init__.py'), 'utf8')
  const names = [.../__all__ = \[([\s\S]*?)\]/.exec(init)![1]!.matchAll(/"([A-Za-z]\w+)"/g)].map(([, name]) => name!)
  const all = globSync('*.py', { cwd: join(ROOT, FOLDER) }).flatMap((file) =>
    definitions(readFileSync(join(ROOT, FOLDER, file), 'utf8')),
  )
  const byName = new Map(all.map((one) => [one.name, one]))
  const used = ['State', 'Logger', 'Flow', 'Step', 'Client', 'FakeContext'].filter(
    (name) => byName.has(name) && !names.includes(name),
  )
  const sections = [...names, ...used].flatMap((name) => {
    const one = byName.get(name)
    if (!one) throw new Error(`The Python package exports ${name}, which has no docstring.`)
    return [
      `## \`${name}\``,
      render(one),
      ...one.members.flatMap((member) => [`### \`${name}.${member.name}\``, render(member)]),
    ]
  })
  return page('Python', [
    'What `nuxt_queue` exports. [The guide to Python workers](../../python-sdk/README.md) shows how to use it. Durations are in milliseconds.',
    '```python\nfrom nuxt_queue import Job, RunContext, define_worker\n\n@define_worker\ndef greet(job: Job, ctx: RunContext) -> str:\n    return f"hello {job.data}"\n```',
    ...sections,
  ])
}
