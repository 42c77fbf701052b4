const COMPLAINT = /warn|circular|could not be resolved/i
/** What a bundler says of a machine that is slow. */
const SLOW = /PLUGIN_TIMINGS/

/** What a bundler complains of, without what differs from one folder and one build to the next. */
function warningsIn(output: string): string[] {
  const lines = output.split('\n').filter((line) => COMPLAINT.test(line) && !SLOW.test(line))
  return lines.map((line) =>
    line
      .replaceAll(/\S*nuxt-queue-apps-\S*/g, '<path>')
      .replaceAll(/[\d.]+/g, '0')
      .trim(),
  )
}

/** What a build warns of that the build of the same application without this package does not. */
export function addedWarnings(output: string, plain: string): string[] {
  const known = new Set(warningsIn(plain))
  return warningsIn(output).filter((line) => !known.has(line))
}
