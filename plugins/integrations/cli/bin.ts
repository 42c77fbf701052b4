#!/usr/bin/env node
import { readFile } from 'node:fs/promises'
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

// A command lives for a moment, most of which would go into compiling the same modules again.
enableCompileCache()
const { main } = await import('./main.ts')

const manifest = await readFile(fileURLToPath(import.meta.resolve('nuxt-queue/package.json')), 'utf8')
const { version } = JSON.parse(manifest) as { version: string }

// Whoever reads may stop reading, as `head` does.
process.stdout.on('error', () => process.exit(0))
const code = await main(
  process.argv.slice(2),
  {
    // Loaded when needed: commands that ask a dev process need neither presets nor the loader of configuration.
    createKernel: async (options) => (await import('../../../index.ts')).createKernel(options),
    loadQueueConfig: async (options) => (await import('../../../presets/index.ts')).loadQueueConfig(options),
    memory: async () => (await import('../../../presets/index.ts')).dev,
  },
  version,
)
// What the application's own modules left open does not keep the command from ending.
process.stdout.write('', () => process.exit(code))
