import type { EventStore, JobRecord, JobSearch } from '../../../../kernel/index.ts'
import { ENDED, type JobCopies } from '../../../adapters/lib/store-copy.ts'
import { jobChecksum } from './checksum.ts'
import { asStored } from './export.ts'
import { differs, eachAtOnce, storedOf } from './import.ts'

/** How many jobs are read and written at once. */
const PAGE = 500
/** How many runs are looked at together. */
const RUNS = 64

/** Stores jobs in a target that no process uses, replaces older versions of them, and compares each. @throws QueueError `STORE_DIFFERS` */
async function storeJobs(target: JobCopies, jobs: readonly JobRecord[]): Promise<void> {
  if (jobs.length === 0) return
  const copies = jobs.map(asStored)
  await target.write(copies)
  const older = await differing(target, copies)
  if (older.length === 0) return
  // They were retried since they were copied.
  await eachAtOnce(older, async ({ queue, id }) => void (await target.remove(queue, id)))
  await target.write(older)
  const [wrong] = await differing(target, older)
  if (!wrong) return
  const { queue, id } = wrong
  const [stored] = await target.getMany(queue, [id])
  throw differs(`job "${id}" of queue "${queue}"`, jobChecksum(wrong), stored && jobChecksum(stored))
}

/** Stores pages of jobs, each like `storeJobs`. The next page is read while one is stored. */
export async function storePages(
  target: JobCopies,
  pages: AsyncIterable<readonly JobRecord[]>,
  onPage: (jobs: readonly JobRecord[]) => void = () => {},
): Promise<void> {
  let storing = Promise.resolve()
  for await (const jobs of pages) {
    await storing
    storing = storeJobs(target, jobs)
    // If the next page cannot be read, nothing awaits this one.
    storing.catch(() => {})
    onPage(jobs)
  }
  await storing
}

async function differing(target: JobCopies, jobs: readonly JobRecord[]): Promise<JobRecord[]> {
  const stored = await storedOf(target, jobs)
  return jobs.filter((job) => {
    const known = stored.get(job)
    return !known || jobChecksum(known) !== jobChecksum(job)
  })
}

/** Yields jobs of all queues in pages, newest first. */
export async function* findPages(
  source: JobCopies,
  filter: Omit<JobSearch, 'queue' | 'after' | 'limit'>,
): AsyncGenerator<JobRecord[], void> {
  for (const queue of await source.queues()) {
    for (let after: string | undefined; ;) {
      const { jobs, next } = await source.find({ ...filter, queue, after, limit: PAGE })
      if (jobs.length > 0) yield jobs
      if (next === undefined) break
      after = next
    }
  }
}

/** Copies the ended jobs of these runs. Most runs have one job, and a write takes as long for many jobs as for one. */
export async function copyEndedOf(
  runs: readonly string[],
  source: JobCopies,
  target: JobCopies,
  infoOf: EventStore['runs']['get'],
): Promise<void> {
  for (let from = 0; from < runs.length; from += RUNS) {
    const found = await Promise.all(runs.slice(from, from + RUNS).map((runId) => endedOf(runId, source, infoOf)))
    const jobs = found.flat()
    for (let first = 0; first < jobs.length; first += PAGE) await storeJobs(target, jobs.slice(first, first + PAGE))
  }
}

async function endedOf(runId: string, source: JobCopies, infoOf: EventStore['runs']['get']): Promise<JobRecord[]> {
  const info = await infoOf(runId)
  // Streams that are no runs have no jobs.
  if (!info) return []
  const jobs: JobRecord[] = []
  for (let after: string | undefined; ;) {
    const page = await source.find({ runId, states: ENDED, after, limit: PAGE })
    jobs.push(...page.jobs)
    if (page.next === undefined) break
    after = page.next
  }
  // A search does not look into the queues of the engine.
  const { queue, jobId } = info
  if (jobs.length > 0 || queue === undefined || jobId === undefined) return jobs
  const [job] = await source.getMany(queue, [jobId])
  return job && ENDED.includes(job.state) ? [job] : []
}

/** Copies the pauses and limits of queues. */
export async function copySettings(source: JobCopies, target: JobCopies): Promise<void> {
  for (const queue of await source.queues()) {
    const limits = await source.getLimits(queue)
    if (Object.keys(limits).length > 0) await target.setLimits(queue, limits)
    const [paused, wasPaused] = await Promise.all([source, target].map((side) => side.isPaused(queue)))
    if (paused && !wasPaused) await target.pause(queue)
    if (!paused && wasPaused) await target.resume(queue)
  }
}
