import { QueueError } from '../../../../kernel/index.ts'

/** The options of a build that determine where it runs. */
export interface BuildTarget {
  preset?: string
  /** False for servers without the modules of Node. */
  node?: boolean
  exportConditions?: readonly string[]
}

/** Conditions of packages for servers that are not Node. */
const FOREIGN: ReadonlySet<string> = new Set(['workerd', 'edge-light', 'netlify', 'deno'])
const SERVICE_WORKER = 'service-worker'
/** Presets that build functions. A function is frozen or ended after each request, so jobs would be interrupted. */
const FUNCTIONS: ReadonlySet<string> = new Set([
  ...['aws-lambda', 'genezio', 'azure', 'azure-functions', 'azure-swa', 'firebase', 'stormkit', 'zeabur'],
  ...['netlify', 'netlify-builder', 'netlify-legacy', 'vercel'],
])

/**
 * Refuses to build for a platform where no Node process keeps running. Functions may enqueue jobs, but not run them.
 *
 * @param worker whether the server runs jobs
 * @throws QueueError `CONFIG_INVALID`
 */
export function assertServer({ preset = '', node, exportConditions = [] }: BuildTarget, worker: boolean): void {
  const name = preset.replaceAll('_', '-')
  const foreign = node === false || name === SERVICE_WORKER || exportConditions.some((one) => FOREIGN.has(one))
  const use = 'Use a preset that starts a Node server, such as node-server'
  if (foreign) {
    throw new QueueError(
      'CONFIG_INVALID',
      `The preset "${preset}" does not run in Node, and nuxt-queue needs a Node server. ${use}.`,
    )
  }
  if (!worker || !FUNCTIONS.has(name)) return
  const enqueue = 'or set worker: false in the section queue to only enqueue jobs here, and run them in another server'
  throw new QueueError(
    'CONFIG_INVALID',
    `The preset "${preset}" builds a function, which ends before its jobs. ${use}, ${enqueue}.`,
  )
}
