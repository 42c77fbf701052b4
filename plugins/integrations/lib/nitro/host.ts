import type { IncomingMessage } from 'node:http'
import type { Plugin } from 'rollup'
import { QueueError, type Reporter } from '../../../../kernel/index.ts'

/** A module for Nitro, in the form that nitropack 2 and Nitro 3 accept. */
export interface QueueNitroModule {
  name: string
  setup(nitro: { options: object; hooks: object }): Promise<void>
}

/** The part of a bundler's configuration that is changed. Rollup and Rolldown share it. */
export interface BundlerConfig {
  plugins: Plugin[]
  output: object
}

/** The parts of a Nitro instance that are used and that both major versions have. */
export interface Nitro {
  meta?: { version?: string; majorVersion?: number }
  options: {
    rootDir: string
    buildDir: string
    scanDirs: string[]
    baseURL: string
    dev: boolean
    preset: string
    node?: boolean
    exportConditions?: string[]
    experimental: { tasks?: boolean }
    tasks: Record<string, { handler?: string }>
    scheduledTasks?: Record<string, string | string[]>
    static?: boolean
    builder?: string
    /** The entry of the server. */
    entry: string
    framework?: { name?: string; version?: string }
    output: { serverDir: string }
    virtual: Record<string, string | (() => string | Promise<string>)>
    plugins: string[]
    handlers: { route: string; handler: string; lazy?: boolean }[]
    devHandlers: { handler: unknown }[]
    routeRules: Record<string, object>
    runtimeConfig: { queue?: unknown; nitro?: { routeRules?: Record<string, object> } }
  }
  hooks: {
    hook(name: 'build:before' | 'rollup:reload' | 'compiled' | 'close', callback: () => void | Promise<void>): void
    hook(name: 'rollup:before', callback: (nitro: unknown, config: BundlerConfig) => void): void
    callHook(name: 'rollup:reload'): Promise<unknown>
  }
  logger: Reporter
}

/** The sources of the modules that connect the server with the queue. */
export interface Templates {
  /** The Nitro plugin that starts the queue with the server. */
  plugin: string
  /** The handler of requests below the path of the queue. */
  handler: string
  /** The program that runs workers without a server. */
  worker: string
  /** The expression for the URL of a chunk. */
  chunkURL: string
}

/** The differences between the major versions of Nitro. */
export interface Version {
  templates: Templates
  /** The folders whose subfolder `queues` has workers. */
  sourceDirs(nitro: Nitro): readonly string[]
  /** Adjusts the options: imports, external packages, and WebSockets. Prerendering gets only imports. */
  prepare(nitro: Nitro, prerender: boolean): void
  /** Writes the types of the workers to a file when Nitro writes its own. `include` adds the file to the project. */
  addTypes(nitro: Nitro, file: string, write: () => Promise<void>): void
  /** Splits chunks so that workers can be loaded without the server. */
  splitServer(nitro: Nitro, config: BundlerConfig): void
  /** Returns the middleware of the development server that marks requests from this machine. */
  devHandler(vouch: Vouch): unknown
}

/** Marks the request of a development server. Returns the headers to add, if any. */
export type Vouch = (request: IncomingMessage) => Readonly<Record<string, string>>

/** Versions that were published before the interface of Nitro 3 was settled. `nitro@3.0.0` is the tag `latest` in some registries. */
const TOO_EARLY = /^3\.0\.[01](?:-|$)/

/**
 * Returns the major version of Nitro.
 *
 * @throws QueueError `CONFIG_INVALID` for a version of Nitro 3 that is too early
 */
export function majorVersion({ meta, options: { framework } }: Nitro): 2 | 3 {
  const own = framework?.name === 'nitro' ? framework.version : undefined
  const version = meta?.version ?? own ?? ''
  if (TOO_EARLY.test(version)) {
    const hint = 'Install the newest beta of nitro 3, or nitropack 2.'
    throw new QueueError(
      'CONFIG_INVALID',
      `nuxt-queue works with nitro 3.0.260903-beta and later; got ${version}. ${hint}`,
    )
  }
  return (meta?.majorVersion ?? 2) >= 3 ? 3 : 2
}
