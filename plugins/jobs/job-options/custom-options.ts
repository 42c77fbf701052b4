import type { StandardSchemaV1 } from '@standard-schema/spec'
import { checkText, invalid, QueueError, shown, type PluginKernel } from '../../../kernel/index.ts'
import { isStandardSchema } from '../../lib/worker-option.ts'
import type { JobOptionRule } from '../lib/job-option-rule.ts'
import type { JobOptionRules } from './rules.ts'

/** The additional sources of a job option that a plugin defines, besides `enqueue`. */
export interface JobOptionSources {
  /** Whether workers may set the option in their config, as the default of their jobs. Default false. */
  worker?: boolean
  /** Whether callers of the HTTP API may set the option. Default false. */
  http?: boolean
}

export interface JobOptionInfo extends Required<JobOptionSources> {
  schema: StandardSchemaV1
}

/** Adds job options: the rules of plugins of this package, and the schemas of other plugins and of applications. */
export function createCustomOptions(kernel: PluginKernel, rules: JobOptionRules, onDefine: () => void) {
  const defined = new Map<string, JobOptionInfo>()

  function assertFree(name: string): void {
    if (!rules.has(name) && !defined.has(name)) return
    throw new QueueError('OPTION_INVALID', `A job option "${name}" already exists. Choose another name.`)
  }

  function declare(name: string, rule: JobOptionRule): void {
    assertFree(name)
    if (rule.worker !== false) kernel.defineWorkerOption(name, rules.checkOfWorker(name))
    rules.add(name, rule)
    onDefine()
  }

  function define(
    name: string,
    schema: StandardSchemaV1,
    { worker = false, http = false }: JobOptionSources = {},
  ): void {
    checkText('The name of a job option', name)
    if (!isStandardSchema(schema)) {
      throw invalid(`The schema of job option "${name}"`, 'a Standard Schema, such as one of Zod', schema)
    }
    assertFree(name)
    if (worker) kernel.defineWorkerOption(name, (value, { id }) => void read(name, value, `worker "${id}"`))
    defined.set(name, { schema, worker, http })
    onDefine()
  }

  /** Returns the parsed value of an option. @throws QueueError `OPTION_INVALID` */
  function read(name: string, value: unknown, owner: string): unknown {
    const result = defined.get(name)!.schema['~standard'].validate(value)
    if (result instanceof Promise) {
      throw new QueueError(
        'OPTION_INVALID',
        `The schema of job option "${name}" is asynchronous. Use a synchronous schema.`,
      )
    }
    if (!result.issues) return result.value
    const why = result.issues.map(({ message }) => message).join('; ')
    throw new QueueError('OPTION_INVALID', `Option "${name}" of ${owner} is invalid: ${why}; got ${shown(value)}.`)
  }

  /** Returns the parsed values of all defined options among others. */
  function readAll(options: object, owner: string, from: 'job' | 'worker'): Record<string, unknown> {
    if (defined.size === 0) return {}
    const found = Object.entries(options).filter(
      ([name, value]) => value !== undefined && defined.has(name) && (from === 'job' || defined.get(name)!.worker),
    )
    return Object.fromEntries(found.map(([name, value]) => [name, read(name, value, owner)]))
  }

  return { declare, define, readAll, defined: defined as ReadonlyMap<string, JobOptionInfo> }
}
