/** Creates parts of Markdown that the pages of the reference share. */

const GENERATED_NOTE =
  '<!-- Made by scripts/reference.ts from the sources. Change those, then run: node scripts/reference.ts -->'

/** Returns the text of a docstring for a cell of a table: one line, without its tags. */
export function inCell(doc: string): string {
  return prose(doc)
    .replaceAll(/\s*\n\s*/g, ' ')
    .replaceAll('|', String.raw`\|`)
}

/** Returns the prose of a docstring, without `@throws`, `@example` and `@param`. Text that looks like HTML is escaped. */
export function prose(doc: string): string {
  const text = doc
    .split(/(?:^|\s)@(?:throws|example|param|returns|deprecated)\b/)[0]!
    .replaceAll(/\{@link (\w+)\}/g, '`$1`')
    .trim()
  return text
    .split(/(`[^`]*`)/)
    .map((part) => (part.startsWith('`') ? part : part.replaceAll('<', '&lt;')))
    .join('')
}

/** Returns the example of a docstring, if it has one. */
export function exampleOf(doc: string): string | undefined {
  return /@example\s*\n([\s\S]*?)(?=\n@|$)/.exec(doc)?.[1]?.trim()
}

/** Returns the codes that a docstring says are thrown. */
export function throwsOf(doc: string): string[] {
  const tag = /@throws\s+(?:QueueError\s+)?([\s\S]*?)(?=(?:^|\s)@|$)/.exec(doc)?.[1] ?? ''
  return [...tag.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(([, code]) => code!)
}

export function code(text: string): string {
  return `\`${text.replaceAll('|', String.raw`\|`)}\``
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** Returns a page: its heading, its parts, and the note that it is generated. */
export function page(title: string, parts: readonly (string | undefined)[]): string {
  return `${[`# ${title}`, ...parts.filter((part) => part !== undefined && part !== ''), GENERATED_NOTE].join('\n\n')}\n`
}

/** Returns a code block of a type or a signature, which is not a complete statement. */
export function signature(source: string): string {
  return `\`\`\`ts type\n${source}\n\`\`\``
}

/** Returns a block of TypeScript. */
export function typescript(source: string): string {
  return `\`\`\`ts\n${source}\n\`\`\``
}
