import { createTestKernel } from 'nuxt-queue/testing'
import { join } from 'pathe'
import { PLAYGROUND } from '../paths.ts'
import type { Example } from './example.ts'

/** Simulates three nights in a second, with the clock of the test kit. */
export const nightly: Example = {
  async run(_kernel, print) {
    await using test = await createTestKernel({
      now: new Date('2026-03-27T12:00:00Z'),
      config: { registry: { rootDir: join(PLAYGROUND, 'guide'), dirs: ['.'] } },
    })
    const nights: unknown[] = []
    for (let day = 0; day < 3; day++) {
      await test.advance('1d')
      await test.drain()
    }
    const jobs = await test.kernel.port('queue').getJobs({ name: 'nightly/import', states: ['completed'] })
    for (const { result } of jobs) {
      const { night, rows } = result as { night: string; rows: number }
      // The clocks go forward on the last Sunday of March, so 3 in the morning is an hour earlier in UTC.
      print(`${night}: ${rows.toLocaleString('en')} rows imported`)
      nights.push(night)
    }
    return nights
  },
}
