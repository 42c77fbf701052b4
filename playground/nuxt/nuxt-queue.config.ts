import { tmpdir } from 'node:os'
import { defineConfig } from 'nuxt-queue'
import type { Authorize } from 'nuxt-queue/plugins/http'
import { join } from 'pathe'

// Where runs leave their files. Processes on several machines would share a folder, or a bucket.
process.env.PLAYGROUND_OUTPUT ??= join(tmpdir(), 'nuxt-queue-playground')

/**
 * A demo: everybody who reaches this server may watch all runs and cancel them; they are started by a route of the
 * application. A real one looks here who sends the request (its session, its token), and whether the run,
 * queue or flow that `action` names is theirs.
 */
const authorize: Authorize = (_request, { type }) => type.endsWith('.read') || type === 'runs.cancel'

/** No preset: the one for development, and in production `NUXT_QUEUE_PRESET`, `REDIS_URL` or `DATABASE_URL` says. */
export default defineConfig({
  http: { authorize },
  // Where the world reaches the URLs that approve a report. NUXT_QUEUE_WEBHOOKS_BASE_URL sets another.
  webhooks: { baseUrl: 'http://localhost:3000/_queue/' },
})
