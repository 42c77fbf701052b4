import { join } from 'pathe'
import { expect, it } from 'vitest'
import { inLongForm } from '../services/long.ts'
import { ROOT, startNode } from './processes.ts'

/** The same as `npm run chaos`, briefly: each with a fixed schedule of faults. */
const RUNS = [
  { adapter: 'file', seconds: 6, seed: 11 },
  { adapter: 'redis', seconds: 10, seed: 12 },
  ...inLongForm({ adapter: 'postgres', seconds: 10, seed: 13 }),
]

it.each(RUNS)(
  '$adapter survives $seconds seconds of chaos',
  { timeout: 180_000 },
  async ({ adapter, seconds, seed }) => {
    const args = ['--adapter', adapter, '--seconds', String(seconds), '--seed', String(seed), '--json']
    await using run = startNode([join(ROOT, 'test/chaos/run.ts'), ...args], ROOT)
    const { stdout, stderr } = await run.ended
    const outcome = JSON.parse(stdout || `{"stderr":${JSON.stringify(stderr)}}`) as Record<string, unknown>
    expect(outcome).toMatchObject({ adapter, violations: [] })
    expect((outcome.kills as { scheduled: number }).scheduled).toBeGreaterThan(2)
    expect(outcome.acknowledged).toBeGreaterThan(10)
  },
)
