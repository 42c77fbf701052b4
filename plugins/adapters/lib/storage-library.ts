import { createRequire } from 'node:module'
import type { Diagnosis, Reporter } from '../../../kernel/index.ts'

const require = createRequire(import.meta.url)

interface Manifest {
  version: string
  peerDependencies?: Record<string, string>
}

/**
 * Says whether the installed version of a library is in the range of our peer dependencies. Adapters use the tables and keys of the
 * library directly, and those may change in any release. Package managers can be told to ignore such a range.
 */
export function diagnoseLibrary(name: string): Diagnosis {
  const installed = manifestOf(name)?.version
  const range = supportedRange(name)
  if (installed === undefined || range === undefined || isInCaret(installed, range)) {
    return { check: name, level: 'ok', message: `The version of ${name} is supported: ${installed ?? 'bundled'}.` }
  }
  const message = `This release of nuxt-queue was tested with ${name} ${range}; got ${name} ${installed}. Its storage may differ, so that jobs are not found or run twice.`
  return { check: name, level: 'problem', message, hint: `Install ${name}@${range}.` }
}

/** Returns the range of our peer dependency, or `undefined` in a bundle, which has no manifest. */
export function supportedRange(name: string): string | undefined {
  return manifestOf('nuxt-queue')?.peerDependencies?.[name]
}

/** Warns about the findings of `diagnoseLibrary`. */
export function checkLibrary(name: string, reporter: Reporter): void {
  warnOf([diagnoseLibrary(name)], reporter)
}

/** Reports each finding that is not `ok` in one line. */
export function warnOf(found: readonly Diagnosis[], reporter: Reporter): void {
  for (const { level, message, hint = '' } of found) if (level !== 'ok') reporter.warn(`${message} ${hint}`.trimEnd())
}

/** Returns `undefined` if the package is bundled into another one, where its manifest cannot be found. */
function manifestOf(name: string): Manifest | undefined {
  try {
    return require(`${name}/package.json`) as Manifest
  } catch {
    return undefined
  }
}

/** Returns whether a version such as `6.7.1` is in a range such as `^6.7.0`. */
export function isInCaret(version: string, range: string): boolean {
  const [major, minor, patch] = partsOf(version)
  const [least, minMinor, minPatch] = partsOf(range.replace('^', ''))
  return major === least && (minor > minMinor || (minor === minMinor && patch >= minPatch))
}

function partsOf(version: string): [number, number, number] {
  const [major = 0, minor = 0, patch = 0] = version.split('-')[0]!.split('.').map(Number)
  return [major, minor, patch]
}
