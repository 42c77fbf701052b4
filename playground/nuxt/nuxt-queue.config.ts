import { tmpdir } from 'node:os'
import { defineConfig } from 'nuxt-queue'
import type { Authorize } from 'nuxt-queue/plugins/http'
import { join } from 'pathe'

// The folder for the files of runs. Processes on several machines would share a folder or a bucket.
process.env.PLAYGROUND_OUTPUT ??= join(tmpdir(), 'nuxt-queue-playground')

/**
 * This is a demo: everyone who reaches this server may watch and cancel all runs. A route of the application starts the runs. A real
 * application checks here who sends the request (its session, its token), and whether the run, queue or flow that `action` names is theirs.
 */
const authorize: Authorize = (_request, { type }) => type.endsWith('.read') || type === 'runs.cancel'

/** The preset is not set here. In development, `dev` is used. In production, `NUXT_QUEUE_PRESET`, `REDIS_URL` or `DATABASE_URL` decides. */
export default defineConfig({
  http: { authorize },
  // The public address of the URLs that approve a report. NUXT_QUEUE_WEBHOOKS_BASE_URL overrides it.
  webhooks: { baseUrl: 'http://localhost:3000/_queue/' },
})
