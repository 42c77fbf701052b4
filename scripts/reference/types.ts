/** The pages that are made from interfaces: options of jobs and workers, the context, the kernel, hooks and ports. */
import { code, exampleOf, inCell, page, prose, signature, table, throwsOf, typescript } from './markdown.ts'
import { originOf } from './origin.ts'
import { interfaceOf, type Member } from './source.ts'

function shownMembers(name: string, bases: readonly string[] = []): Member[] {
  return [name, ...bases]
    .flatMap((one) => interfaceOf(one).members)
    .filter(({ doc }) => !/@deprecated|Never there/.test(doc))
}

function optionTable(members: readonly Member[]): string {
  return table(
    ['option', 'type', 'meaning', 'from'],
    members.map(({ name, type, doc, file }) => [code(name), code(type), inCell(doc), originOf(file)]),
  )
}

function examples(members: readonly Member[]): string {
  const shown = members.flatMap(({ doc }) => {
    const example = exampleOf(doc)
    if (example === undefined) return []
    // An option by itself stands in the config of a worker.
    return /^\w+: /.test(example) ? `defineWorkerConfig({ ${example} })` : example
  })
  return shown.length > 0 ? typescript(shown.join('\n')) : ''
}

export function jobOptions(): string {
  const [single, all] = [shownMembers('SingleJobOptions'), shownMembers('JobOptions')]
  return page('Job options', [
    'The options of one job: the third argument of `enqueue`. All durations are in milliseconds. An option that the adapter does not support throws [`OPTION_UNSUPPORTED`](errors.md#option_unsupported).',
    typescript(
      "await kernel.enqueue('mail', { to: 'ada@example.com' }, { delay: 60_000, attempts: 5, backoff: 1000 })",
    ),
    '## In `enqueue` and in the config of a worker',
    'The value in `enqueue` comes first, then that of the [worker](worker-options.md), then `jobs` of the [configuration](config.md).',
    optionTable(all),
    '## In `enqueue` only',
    optionTable(single),
    '## Backoff',
    optionTable(shownMembers('Backoff')),
    '## For example',
    examples([...single, ...all]),
  ])
}

export function workerOptions(): string {
  const members = shownMembers('WorkerConfig', ['SharedConcurrency'])
  return page('Worker options', [
    'What `defineWorkerConfig` takes in the file of a worker. Besides these options, it takes all [options of jobs](job-options.md) that are not for one job only; they are the defaults of the jobs of this worker.',
    typescript('export const config = defineWorkerConfig({ concurrency: 5, attempts: 3, backoff: 1000 })'),
    optionTable(members),
    '## The members of `flow`',
    optionTable(shownMembers('FlowOptions')),
    '## For example',
    examples(members),
  ])
}

function memberSections(members: readonly Member[]): string[] {
  return members.flatMap((member) => {
    const { name, type, isMethod, doc, file } = member
    const example = exampleOf(doc)
    const thrown = throwsOf(doc).map((one) => `[\`${one}\`](errors.md#${one.toLowerCase()})`)
    return [
      `## \`${name}\``,
      signature(isMethod ? type : `${name}: ${type}`),
      prose(doc),
      thrown.length > 0 ? `Throws ${thrown.join(', ')}.` : '',
      example ? typescript(example) : '',
      `From ${originOf(file)}.`,
    ]
  })
}

export function context(): string {
  return page('The context', [
    'What a handler has at hand: its second argument. Plugins add members, and so can [your own](../../kernel/README.md).',
    typescript(
      "export default defineQueueWorker(async (job, ctx) => {\n  ctx.logger.info('started')\n  await ctx.progress(0.5)\n})",
    ),
    ...memberSections(shownMembers('RunContext')),
  ])
}

export function methods(): string {
  return page('Methods of the kernel', [
    'What `createKernel` and `useQueue` return. Each plugin adds its methods, so a method is there if its plugin is in the preset.',
    typescript(
      "const job = await kernel.enqueue('mail', { to: 'ada@example.com' })\nconsole.log(await kernel.result(job))",
    ),
    ...memberSections(shownMembers('Kernel', ['Enqueue', 'Control', 'Search'])),
  ])
}

export function hooks(): string {
  const payloads = interfaceOf('KernelHooks').members.flatMap(({ name, type, doc }) => [
    `## \`${name}\``,
    prose(doc),
    type === 'RunContext'
      ? 'Its payload is the [context](context.md).'
      : table(
          ['member of the payload', 'type', 'meaning'],
          interfaceOf(type).members.map((one) => [code(one.name), code(one.type), inCell(one.doc)]),
        ),
  ])
  return page('Hooks', [
    interfaceOf('KernelHooks').doc,
    typescript(
      "kernel.hook('dispatch', async (dispatch, next) => {\n  const started = kernel.clock.now()\n  await next()\n  dispatch.ctx.logger.info(`took ${kernel.clock.now() - started} ms`)\n})",
    ),
    ...payloads,
    '## Options of a handler',
    optionTable(interfaceOf('HookOptions').members),
  ])
}

export function ports(): string {
  const sections = interfaceOf('Ports').members.flatMap(({ name, type, doc, file }) => {
    const source =
      type === 'JobHandles' ? 'type JobHandles = (job: EnqueueResult) => EnqueuedJob' : interfaceOf(type).source
    return [`## \`${name}\``, `${prose(doc)} From ${originOf(file)}.`, signature(source.replaceAll('E.', ''))]
  })
  return page('Ports', [
    'A port is an interface that one plugin provides and others use: `kernel.provide(name, implementation)` and `kernel.port(name)`. Authors of adapters and runtimes implement these. The [conformance suite](../../testing/conformance/README.md) tests them.',
    typescript("const waiting = await kernel.port('queue').getJobCounts('mail')"),
    ...sections,
  ])
}
