import { stripVTControlCharacters } from 'node:util'
import { expect, it } from 'vitest'
import { createOutput } from '../../../../plugins/integrations/cli/output.ts'
import { announce, serveHttp } from '../../../../plugins/integrations/cli/serving.ts'
import { createTestKernel } from '../../../../testing/index.ts'

it('a process prints where its dashboard and its API are', async () => {
  await using test = await createTestKernel({})
  const lines: string[] = []
  const output = { ...createOutput(false), line: (text: string) => lines.push(stripVTControlCharacters(text)) }
  announce(test.kernel, { command: 'dev', cwd: '/shop', url: 'http://127.0.0.1:4000' }, output)
  expect(lines.slice(1, 3)).toEqual([
    '  dashboard http://127.0.0.1:4000/_queue/ui/',
    '  API       http://127.0.0.1:4000/_queue/api/',
  ])
})

it('a port that is in use is named, with the option that chooses another one', async () => {
  await using test = await createTestKernel({})
  const { port } = await test.kernel.http.listen({ port: 0 })
  await expect(serveHttp(test.kernel, { port })).rejects.toMatchObject({
    code: 'EADDRINUSE',
    message: `Port ${port} is in use by another process. Choose another one, such as --http ${port + 1}.`,
  })
})
