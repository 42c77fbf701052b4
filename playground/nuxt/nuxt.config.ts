import { fileURLToPath } from 'node:url'

/** The rows that a run may read. They become part of the server, so that the build runs anywhere. */
const DATA = fileURLToPath(new URL('../data', import.meta.resolve('vega-datasets')))

/** Files next to the workers that are not part of the server, relative to the folder in which types are checked. */
const NOT_SERVER = [
  '../app',
  '../layers',
  '../*.ts',
  '../../*.ts',
  '../../guide',
  '../../lib/store.ts',
  '../../lib/examples',
]

export default defineNuxtConfig({
  compatibilityDate: '2026-11-01',
  modules: ['nuxt-queue'],
  serverDir: 'server',
  css: ['~/assets/main.css'],
  app: { head: { htmlAttrs: { lang: 'en' }, title: 'Wildlife strikes · nuxt-queue' } },
  nitro: {
    serverAssets: [{ baseName: 'data', dir: DATA, pattern: 'birdstrikes.csv' }],
    typescript: { tsConfig: { exclude: NOT_SERVER } },
  },
  telemetry: false,
})
