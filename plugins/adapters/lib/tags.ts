/** Each once; `undefined` when there are none. */
export function tagsOf(tags: readonly string[]): string[] | undefined {
  return tags.length === 0 ? undefined : [...new Set(tags)]
}
