/** Builds a path and encodes the names in it, which may contain any character. */
export function at(texts: TemplateStringsArray, ...names: string[]): string {
  return String.raw({ raw: texts }, ...names.map(encodeURIComponent))
}
