import { defineConfig } from 'nuxt-queue'

export default defineConfig({
  preset: 'dev',
  registry: { dirs: ['queues'] },
})
