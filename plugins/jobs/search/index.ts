import {
  definePlugin,
  QueueError,
  type FoundJobs,
  type JobFilter,
  type JobSearch,
  type JobTotals,
  type Kernel,
  type QueueProvider,
} from '../../../kernel/index.ts'
import { checkFilter, checkSearch } from '../lib/check-filter.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel extends Search {}
}

export interface Search {
  /**
   * Finds jobs, newest first. Pass `next` as `after` to get the next page.
   *
   * @throws QueueError `OPTION_INVALID`; `OPTION_UNSUPPORTED` if the adapter lacks the capability `search`, or `searchData` for
   * `data`
   * @example
   * const { jobs, next } = await kernel.findJobs({ tag: 'customer:7', states: ['failed'], limit: 20 })
   */
  findJobs(search?: JobSearch): Promise<FoundJobs>
  /**
   * Counts jobs by state. If the filter names only the queue, it reads the counters of the store.
   *
   * @throws QueueError `OPTION_INVALID`, `OPTION_UNSUPPORTED`
   * @example
   * const { counts } = await kernel.countJobs({ queue: 'mail', tag: 'customer:7' })
   */
  countJobs(filter?: JobFilter): Promise<JobTotals>
}

type Searchable = QueueProvider & Required<Pick<QueueProvider, 'findJobs' | 'countJobs'>>

/** Finds and counts jobs by tag, state, name, run, error, moment and data, on every adapter with the capability `search`. */
export default definePlugin({
  name: 'search',
  requires: ['queue'],
  setup(kernel) {
    kernel.extend({
      findJobs: async (search = {}) => {
        const checked = checkSearch('findJobs()', search)
        return searchable(kernel, checked).findJobs(checked)
      },
      countJobs: async (filter = {}) => {
        const checked = checkFilter('countJobs()', filter)
        return searchable(kernel, checked).countJobs(checked)
      },
    })
  },
})

/** @throws QueueError `OPTION_UNSUPPORTED` */
function searchable(kernel: Kernel, { data }: JobFilter): Searchable {
  const queue = kernel.port('queue')
  const { search, searchData } = queue.capabilities
  if (!search || !queue.findJobs || !queue.countJobs) {
    const message =
      'This queue adapter cannot search jobs. List them with getJobs() of the port "queue", or use another adapter.'
    throw new QueueError('OPTION_UNSUPPORTED', message)
  }
  if (data && !searchData) {
    const message = 'This queue adapter cannot search the data of jobs. Remove "data", or use another adapter.'
    throw new QueueError('OPTION_UNSUPPORTED', message, { details: { option: 'data' } })
  }
  return queue as Searchable
}
