import { tmpdir } from 'node:os'
import { defineConfig } from 'nuxt-queue'
import { join } from 'pathe'

// Where runs leave their files. Processes on several machines would share a folder, or a bucket.
process.env.PLAYGROUND_OUTPUT ??= join(tmpdir(), 'nuxt-queue-playground')

/** No preset: the one for development, and in production `NUXT_QUEUE_PRESET`, `REDIS_URL` or `DATABASE_URL` says. */
export default defineConfig({
  http: {
    // A demo: whoever reaches this server may watch all runs and cancel them. They are started by a route of
    // the application. A real one looks here who sends the request (a session, a token), and whether this
    // run, flow or queue is theirs: `action` says which it is.
    authorize: (_request: Request, action: { type: string }) =>
      action.type.endsWith('.read') || action.type === 'runs.cancel',
  },
  // Where the world reaches the URLs that approve a report. NUXT_QUEUE_WEBHOOKS_BASE_URL sets another.
  webhooks: { baseUrl: 'http://localhost:3000/_queue/' },
})
