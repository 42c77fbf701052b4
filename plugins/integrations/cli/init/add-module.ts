/** Where a module is added: into a list that is there, or as the first option of the config. */
const LIST = /\bmodules:\s*\[/g
const OPTIONS = /\b(?:defineNuxtConfig|defineNitroConfig|defineConfig)\(\s*\{/g

/**
 * Returns the text of a config with a module added, or `undefined` if the text has another shape than usual, so that only a
 * person can change it. Everything else in the text stays as it is.
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

/** Returns whether a config names a module as a text. */
export function hasModule(text: string, name: string): boolean {
  return [`'${name}'`, `"${name}"`, `\`${name}\``].some((quoted) => text.includes(quoted))
}

function after(text: string, match: RegExpExecArray): string {
  return text.slice(match.index + match[0].length)
}

function insert(text: string, match: RegExpExecArray, addition: string): string {
  return text.slice(0, match.index + match[0].length) + addition + after(text, match)
}
