import { expect, it } from 'vitest'
import { z } from 'zod'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

const REGION = z.enum(['EU', 'US']).transform((region) => region.toLowerCase())

/** An application declares the type of its option. The suite must not, because all users of the package would see that type. */
const regionOf = (options: object): string => (options as { region?: string }).region ?? 'none'

/** Tests job options that plugins and applications define. */
export function jobOptionTests(test: PresetTest): void {
  it(
    'passes an option that a plugin defines from the caller, the worker or HTTP to the handler, and rejects other values',
    test(async ({ kernel, start, reach }) => {
      kernel.defineJobOption('region', REGION, { worker: true, http: true })
      await start({ ship: ({ options }) => regionOf(options) })
      const fromAbroad: object = { region: 'US' }
      await kernel.registerWorker({ id: 'abroad', config: fromAbroad, handler: ({ options }) => regionOf(options) })

      const given = await kernel.enqueue('ship', null, { region: 'EU', attempts: 2 } as object)
      const plain = await kernel.enqueue('ship')
      const byWorker = await kernel.enqueue('abroad')
      const body = JSON.stringify({ worker: 'ship', options: { region: 'EU' } })
      const post = { method: 'POST', body, headers: { 'content-type': 'application/json' } }
      const url = 'http://localhost/_queue/api/jobs'
      const answered = await kernel.http.fetch(new Request(url, post), { trusted: true })
      expect(answered.status).toBe(202)
      const byHttp = (await answered.json()) as typeof given

      const results = []
      for (const job of [given, plain, byWorker, byHttp]) {
        await reach(job, 'completed')
        results.push(await kernel.result(job))
      }
      expect(results).toEqual(['eu', 'none', 'us', 'eu'])

      expect(await codeOf(() => kernel.enqueue('ship', null, { region: 'moon' } as object))).toBe('OPTION_INVALID')
      expect(await codeOf(() => kernel.enqueue('ship', null, { other: 1 } as object))).toBe('OPTION_INVALID')
      const onTheMoon = { id: 'moon', config: { region: 'moon' } as object, handler: () => 1 }
      expect(await codeOf(() => kernel.registerWorker(onTheMoon))).toBe('OPTION_INVALID')
      const refused = []
      for (const options of [{ other: 1 }, { runId: 'x' }, { region: 'moon' }]) {
        const request = new Request(url, { ...post, body: JSON.stringify({ worker: 'ship', options }) })
        refused.push((await kernel.http.fetch(request, { trusted: true })).status)
      }
      expect(refused).toEqual([422, 422, 400])
      for (const name of ['attempts', 'region', 'flow', '']) {
        expect(await codeOf(async () => kernel.defineJobOption(name, REGION))).toBe('OPTION_INVALID')
      }
    }),
  )
}
