// The workers of the playground. `server/queues` of this application replaces the report.
export default defineNuxtConfig({ serverDir: '../../..' })
