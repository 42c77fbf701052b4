import { bulkRoutes } from './bulk.ts'
import { flowRoutes } from './flows.ts'
import { jobRoutes } from './jobs.ts'
import { observabilityRoutes } from './observability.ts'
import { otherRoutes } from './others.ts'
import { queueRoutes } from './queues.ts'
import { runMessageRoutes } from './run-messages.ts'
import type { Route } from './route.ts'
import { runRoutes } from './runs.ts'
import { scheduleRoutes } from './schedules.ts'
import { streamRoutes } from './streams.ts'
import { triggerRoutes } from './triggers.ts'
import { waitRoutes } from './waits.ts'

/** All routes below `<path>api/`. */
export const routes: readonly Route[] = [
  ...queueRoutes,
  ...jobRoutes,
  ...bulkRoutes,
  ...runRoutes,
  ...runMessageRoutes,
  ...streamRoutes,
  ...flowRoutes,
  ...observabilityRoutes,
  ...waitRoutes,
  ...scheduleRoutes,
  ...triggerRoutes,
  ...otherRoutes,
]
