#!/usr/bin/env node
import { readFile } from 'node:fs/promises'
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

// A command runs briefly and would spend most of its time compiling the same modules again.
enableCompileCache()
const { main } = await import('./main.ts')

const manifest = await readFile(fileURLToPath(import.meta.resolve('nuxt-queue/package.json')), 'utf8')
const { version } = JSON.parse(manifest) as { version: string }

// A reader such as `head` may close the pipe early.
process.stdout.on('error', () => process.exit(0))
const code = await main(
  process.argv.slice(2),
  {
    // These modules load on demand. A command that asks a dev process needs neither presets nor the config loader.
    createKernel: async (options) => (await import('../../../index.ts')).createKernel(options),
    loadQueueConfig: async (options) => (await import('../../../presets/index.ts')).loadQueueConfig(options),
    memory: async () => (await import('../../../presets/index.ts')).dev,
  },
  version,
)
// Handles that the application's own modules left open do not keep the command running.
process.stdout.write('', () => process.exit(code))
