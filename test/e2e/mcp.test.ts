import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { expect, it } from 'vitest'
import { BIN } from './processes.ts'
import { createProject } from './project.ts'

const GREET = `export default (job) => \`hello \${job.data}\``
/** Prints to standard output, like modules of applications, although it carries the protocol. */
const CONFIG = `console.log('a line that is no message')\nexport default { adapter: 'file' }`

it('nuxt-queue mcp serves the tools of a project over stdio, and leaves its store to others', async () => {
  await using project = await createProject({ greet: GREET })
  const { cwd } = project
  await project.write('nuxt-queue.config.ts', CONFIG)
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NUXT_QUEUE_')))
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [BIN, 'mcp', '--write'],
    cwd,
    env: env as Record<string, string>,
    stderr: 'pipe',
  })
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(transport)
  const call = async (name: string, given: object) => {
    const { content, isError } = await client.callTool({ name, arguments: { ...given } })
    return { isError, json: JSON.parse((content as { text: string }[])[0]!.text) as Record<string, unknown> }
  }
  try {
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['listJobs', 'enqueueJob']))
    const { json: job } = await call('enqueueJob', { worker: 'greet', data: 'Ada' })
    const listed = await Promise.all([call('listJobs', {}), call('listQueues', {})])
    expect(listed).toMatchObject([
      { json: { jobs: [{ id: job.id, state: 'waiting' }] } },
      { json: { queues: [{ name: 'default', counts: { waiting: 1 } }] } },
    ])
    expect(await call('getJob', { queue: 'default', job: 'none' })).toMatchObject({
      isError: true,
      json: { code: 'JOB_NOT_FOUND' },
    })
  } finally {
    await client.close()
  }
})
