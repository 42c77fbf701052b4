/** Where a module is added: to an existing list, or as the first option of the config. */
const LIST = /\bmodules:\s*\[/g
const OPTIONS = /\b(?:defineNuxtConfig|defineNitroConfig|defineConfig)\(\s*\{/g

/**
 * Returns the text of a config with a module added, or `undefined` if the text has an unusual form and must be edited manually. The rest of
 * the text does not change.
 */
export function addModule(text: string, name: string): string | undefined {
  const lists = [...text.matchAll(LIST)]
  if (lists.length > 1) return undefined
  const [list] = lists
  if (list) return insert(text, list, /^\s*\]/.test(after(text, list)) ? `'${name}'` : `'${name}', `)
  const [options, ...others] = [...text.matchAll(OPTIONS)]
  if (!options || others.length > 0) return undefined
  const isEmpty = /^\s*\}/.test(after(text, options))
  return insert(text, options, isEmpty ? ` modules: ['${name}'] ` : `\n  modules: ['${name}'],`)
}

/** Returns whether a config names a module as a string. */
export function hasModule(text: string, name: string): boolean {
  return [`'${name}'`, `"${name}"`, `\`${name}\``].some((quoted) => text.includes(quoted))
}

function after(text: string, match: RegExpExecArray): string {
  return text.slice(match.index + match[0].length)
}

function insert(text: string, match: RegExpExecArray, addition: string): string {
  return text.slice(0, match.index + match[0].length) + addition + after(text, match)
}
