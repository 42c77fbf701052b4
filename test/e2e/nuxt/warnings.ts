const COMPLAINT = /warn|circular|could not be resolved/i
/** The messages of a bundler on a slow machine. */
const SLOW = /PLUGIN_TIMINGS/

/** Returns the warnings of a bundler, without the parts that differ between folders and builds. */
function warningsIn(output: string): string[] {
  const lines = output.split('\n').filter((line) => COMPLAINT.test(line) && !SLOW.test(line))
  return lines.map((line) =>
    line
      .replaceAll(/\S*nuxt-queue-apps-\S*/g, '<path>')
      .replaceAll(/[\d.]+/g, '0')
      .trim(),
  )
}

/**
 * Returns the warnings of a build that the build of the same application without this package does not have. The latter runs only if
 * there are warnings to compare.
 */
export async function addedWarnings(output: string, plainBuild: () => Promise<string>): Promise<string[]> {
  const found = warningsIn(output)
  if (found.length === 0) return []
  const known = new Set(warningsIn(await plainBuild()))
  return found.filter((line) => !known.has(line))
}
