// The workers of the playground, of which `server/queues` of this application replaces the report.
export default defineNuxtConfig({ serverDir: '../../..' })
