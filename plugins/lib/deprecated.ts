const warned = new Set<string>()

/**
 * Warns once per process that something is used under its old name. The old name works until the next minor version.
 *
 * @param old what was used, such as `Option "max" of throttle`
 * @param instead what to use
 */
export function warnDeprecated(old: string, instead: string): void {
  if (warned.has(old)) return
  warned.add(old)
  const message = `${old} is deprecated and will be removed in the next minor version. Use ${instead}.`
  process.emitWarning(message, { type: 'DeprecationWarning', code: 'NUXT_QUEUE_DEPRECATED' })
}
