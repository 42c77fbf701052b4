import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { expect, it } from 'vitest'
import { createKernel } from '../../../../index.ts'
import { createAnswers } from '../../../../plugins/integrations/cli/answers.ts'
import { openProject } from '../../../../plugins/integrations/cli/project-api.ts'
import { openRemote } from '../../../../plugins/integrations/cli/remote-api.ts'
import { serve as serveSocket } from '../../../../plugins/integrations/cli/server.ts'
import { dev } from '../../../../presets/index.ts'
import { serve } from '../../http/rig.ts'

const TOKEN = 'a-token-of-enough-letters'
const { signal } = new AbortController()
const queues = { method: 'GET', path: 'queues' }

it('uses the process of a project as soon as one runs, with the checks of its API', async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'nuxt-queue-api-'))
  await using rig = await serve({ token: TOKEN }, { workers: { greet: () => 'hello' } })
  const host = { createKernel, loadQueueConfig: async () => ({}), memory: async () => dev }
  const [api, stranger] = [await openProject(host, cwd, TOKEN), await openProject(host, cwd, undefined)]
  try {
    expect(api.document.paths).toHaveProperty('/jobs')
    await expect(api.ask(queues, signal)).rejects.toMatchObject({ code: 'DEV_MISSING' })
    const socket = await serveSocket(cwd, createAnswers(rig.kernel, cwd))
    try {
      const enqueued = await api.ask({ method: 'POST', path: 'jobs', body: '{"worker":"greet"}' }, signal)
      expect(enqueued.status).toBe(202)
      expect(await (await api.ask(queues, signal)).json()).toMatchObject({ queues: [{ name: 'default' }] })
      expect((await stranger.ask(queues, signal)).status).toBe(401)
    } finally {
      await socket.close()
    }
  } finally {
    await Promise.all([api.close(), stranger.close()])
    await rm(cwd, { recursive: true })
  }
})

it('uses a server with a token, and reports when the server refuses', async () => {
  await using rig = await serve({ production: true, token: TOKEN })
  const url = `${rig.server.url}/_queue`
  const api = await openRemote(url, TOKEN)
  expect(api.document.paths).toHaveProperty('/jobs')
  expect((await api.ask(queues, signal)).status).toBe(200)
  await expect(openRemote(url, undefined)).rejects.toThrow('openapi.json responded with 401. Check the address')
  await expect(openRemote('shop', TOKEN)).rejects.toThrow('--url takes an address such as')
})
