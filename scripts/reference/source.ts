/** What the sources say: the members of interfaces with their docstrings, and the docstrings of options in schemas. */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { dirname, join } from 'pathe'
import { parseSync } from 'rolldown/utils'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

export interface Member {
  name: string
  /** The text of its type, or of its signature for a method. */
  type: string
  isMethod: boolean
  optional: boolean
  doc: string
  /** The file that declares it, from the root of the repository. */
  file: string
}

export interface Declared {
  doc: string
  members: Member[]
  /** The names of the interfaces it extends. */
  bases: string[]
  /** Its text, with its docstrings. */
  source: string
  file: string
}

interface Option {
  /** The names of the properties around it, then its own. */
  path: readonly string[]
  doc: string
  file: string
}

/** A node of the syntax tree, as far as this file reads it. */
interface Node {
  type: string
  start: number
  end: number
  [key: string]: unknown
}

const interfaces = new Map<string, Declared>()
const options: Option[] = []

for (const file of globSync('{contracts,kernel,presets,plugins,testing}/**/*.ts', { cwd: ROOT }).toSorted()) {
  if (file.includes('dashboard/app') || file.endsWith('.d.ts')) continue
  read(file, readFileSync(join(ROOT, file), 'utf8'))
}

function read(file: string, text: string): void {
  const { program, comments } = parseSync(file, text) as unknown as {
    program: Node
    comments: { type: string; value: string; start: number; end: number }[]
  }
  const docs = new Map(
    comments.filter(({ type, value }) => type === 'Block' && value.startsWith('*')).map((one) => [one.end, one.value]),
  )
  /** Returns the docstring that ends right before a position. */
  const docAt = (start: number): string => {
    const before = text.slice(0, start).trimEnd()
    return cleanDoc(
      docs.get(before.length) ?? docs.get(before.replace(/(?:\/\/[^\n]*|export)\s*$/, '').trimEnd().length) ?? '',
    )
  }
  const visit = (node: Node, path: readonly string[]): void => {
    if (node.type === 'TSInterfaceDeclaration') declare(node, docAt(node.start))
    let below: readonly string[] = path
    if (node.type === 'Property') {
      const name = nameOf(node.key as Node)
      if (name !== undefined) {
        below = [...path, name]
        const doc = docAt(node.start)
        if (doc !== '') options.push({ path: below, doc, file })
      }
    }
    for (const child of Object.values(node)) {
      for (const one of Array.isArray(child) ? child : [child]) if (isNode(one)) visit(one, below)
    }
  }
  const declare = (node: Node, doc: string): void => {
    const name = (node.id as Node).name as string
    const known = interfaces.get(name) ?? {
      doc: '',
      members: [],
      bases: [],
      source: text.slice(node.start, node.end),
      file,
    }
    const bases = (node.extends as Node[]).map(({ start, end }) => text.slice(start, end))
    const members = ((node.body as Node).body as Node[]).flatMap((member): Member[] => {
      const own = member.key ? nameOf(member.key as Node) : undefined
      if (own === undefined) return []
      const annotation = member.typeAnnotation as Node | null
      const isMethod = member.type === 'TSMethodSignature'
      const source =
        isMethod || !annotation ? text.slice(member.start, member.end) : text.slice(annotation.start, annotation.end)
      const type = source
        .replace(/^:\s*/, '')
        .replaceAll(/\s*\/\*\*[\s\S]*?\*\/\s*/g, ' ')
        .replaceAll(/\s+/g, ' ')
        .replaceAll(/,? ([)}])/g, ' $1')
        .replaceAll(/\( | \)/g, (found) => found.trim())
      return [{ name: own, type, isMethod, optional: member.optional === true, doc: docAt(member.start), file }]
    })
    const added = members.filter((one) => !known.members.some((other) => other.name === one.name))
    interfaces.set(name, {
      ...known,
      doc: known.doc || doc,
      members: [...known.members, ...added],
      bases: [...new Set([...known.bases, ...bases])],
    })
  }
  visit(program, [])
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'
}

function nameOf(key: Node): string | undefined {
  if (key.type === 'Identifier') return key.name as string
  return key.type === 'Literal' && typeof key.value === 'string' ? key.value : undefined
}

/** Removes the stars of a docstring. Joins its lines, and keeps its lists. */
function cleanDoc(value: string): string {
  return value
    .replace(/^\*/, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, '').trimEnd())
    .join('\n')
    .trim()
}

/** @throws Error if no interface has that name */
export function interfaceOf(name: string): Declared {
  const found = interfaces.get(name)
  if (!found) throw new Error(`No source declares the interface ${name}.`)
  return found
}

/** Returns the docstring of an option in the schema of a plugin: in its folder, or in a file next to it that it uses. */
export function optionDoc(folder: string, path: readonly string[]): string | undefined {
  const near = (file: string): number => {
    if (file.startsWith(`${folder}/`)) return 2
    const family = dirname(folder)
    return file.startsWith(`${family}/lib/`) || file.startsWith(`${dirname(family)}/lib/`) ? 1 : 0
  }
  const common = (other: readonly string[]): number => {
    let same = 0
    while (same < path.length && path.at(-1 - same) === other.at(-1 - same)) same++
    return same
  }
  const found = options.filter((option) => option.path.at(-1) === path.at(-1) && near(option.file) > 0)
  return found.toSorted((a, b) => near(b.file) - near(a.file) || common(b.path) - common(a.path))[0]?.doc
}
