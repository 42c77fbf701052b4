import { defineConfig } from 'nuxt-queue'

export default defineConfig({
  preset: 'dev',
  registry: { dirs: ['queues'] },
  // The statistics of a year are written in Python. Where there is none, this does the same in process, and says so.
  python: { fallback: { 'queues/birdstrikes/year.py': 'lib/year.ts' } },
})
