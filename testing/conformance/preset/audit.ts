import { expect, it } from 'vitest'
import type { PresetTest } from './rig.ts'

/** Tests the audit log of actions over HTTP. */
export function auditTests(test: PresetTest): void {
  it(
    'records who did what over HTTP, with its outcome, for all processes',
    test(
      async ({ kernel, sibling, start, until }) => {
        await start({ work: () => {} })
        await kernel.port('queue').pause('work')
        const { id, runId } = await kernel.enqueue('work')
        const post = async (path: string, actor: string): Promise<number> => {
          const request = new Request(`http://localhost/_queue/api/${path}`, {
            ...{ method: 'POST', body: '{}' },
            headers: { 'content-type': 'application/json', 'x-actor': actor },
          })
          return (await kernel.http.fetch(request, { trusted: true })).status
        }
        expect(await post('queues/other/pause', 'ada')).toBe(200)
        expect(await post(`jobs/work/${id}/retry`, 'ada')).toBe(409)
        expect(await post(`jobs/work/${id}/cancel`, 'nobody')).toBe(403)
        expect(await post('waits/a-secret-token', 'ada')).toBe(404)
        const other = await sibling()
        const entries = await until('all is recorded', async () => {
          const found = await other.audit()
          return found.length === 4 && found
        })
        const told = entries.toReversed().map(({ at, ...entry }) => ({ ...entry, at: typeof at }))
        const of = (route: string, action: string, subject: object, outcome: string, status: number) => ({
          ...{ at: 'number', route, action, subject, outcome, status },
        })
        expect(told).toEqual([
          { actor: 'ada', ...of('pauseQueue', 'queues.pause', { queue: 'other' }, 'done', 200) },
          { actor: 'ada', ...of('retryJob', 'jobs.retry', { queue: 'work', job: id, runId }, 'JOB_STATE', 409) },
          { actor: 'nobody', ...of('cancelJob', 'jobs.cancel', { queue: 'work', job: id }, 'REQUEST_FORBIDDEN', 403) },
          { actor: 'ada', ...of('resolveWait', 'waits.resolve', {}, 'WAIT_UNKNOWN', 404) },
        ])
        expect(await other.audit({ actor: 'nobody' })).toHaveLength(1)
        expect(await other.audit({ action: 'jobs.retry', limit: 1 })).toMatchObject([{ route: 'retryJob' }])
      },
      {
        http: {
          authorize: ({ headers }: Request) => {
            const actor = headers.get('x-actor') ?? undefined
            return { allow: actor !== 'nobody', actor }
          },
        },
      },
    ),
  )
}
