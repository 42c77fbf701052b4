import { defineConfig } from 'nuxt-queue'

export default defineConfig({
  preset: 'dev',
  registry: { dirs: ['queues'] },
  // The statistics of a year are written in Python. Without Python, this file does the same in process, and a warning says so.
  python: { fallback: { 'queues/birdstrikes/year.py': 'lib/year.ts' } },
})
