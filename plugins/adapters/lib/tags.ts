/** Removes duplicate tags. Returns `undefined` for an empty list. */
export function tagsOf(tags: readonly string[]): string[] | undefined {
  return tags.length === 0 ? undefined : [...new Set(tags)]
}
