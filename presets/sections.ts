// Written by scripts/sections.ts.
import type { StandardSchemaV1 } from '@standard-schema/spec'

/** What the section of a plugin takes. */
type OptionsOf<Module> = Module extends { default: { options?: StandardSchemaV1<infer Input> } } ? Input : never

declare module 'nuxt-queue/kernel' {
  interface PluginSections {
    alerts?: OptionsOf<typeof import('../plugins/observability/alerts/index.ts')>
    cli?: OptionsOf<typeof import('../plugins/integrations/cli/index.ts')>
    embedded?: OptionsOf<typeof import('../plugins/adapters/pglite/index.ts')>
    encryption?: OptionsOf<typeof import('../plugins/context/encryption/index.ts')>
    errors?: OptionsOf<typeof import('../plugins/observability/errors/index.ts')>
    exec?: OptionsOf<typeof import('../plugins/runtimes/exec/index.ts')>
    file?: OptionsOf<typeof import('../plugins/adapters/file/connection/index.ts')>
    flow?: OptionsOf<typeof import('../plugins/flow/flow/index.ts')>
    http?: OptionsOf<typeof import('../plugins/integrations/http/index.ts')>
    instances?: OptionsOf<typeof import('../plugins/observability/instances/index.ts')>
    isolated?: OptionsOf<typeof import('../plugins/runtimes/isolated/index.ts')>
    limits?: OptionsOf<typeof import('../plugins/jobs/limits/index.ts')>
    logger?: OptionsOf<typeof import('../plugins/context/logger/index.ts')>
    mcp?: OptionsOf<typeof import('../plugins/integrations/mcp/index.ts')>
    memory?: OptionsOf<typeof import('../plugins/adapters/memory/queue/index.ts')>
    metrics?: OptionsOf<typeof import('../plugins/observability/metrics/index.ts')>
    node?: OptionsOf<typeof import('../plugins/runtimes/node/index.ts')>
    offload?: OptionsOf<typeof import('../plugins/context/offload/index.ts')>
    otel?: OptionsOf<typeof import('../plugins/observability/otel/index.ts')>
    postgres?: OptionsOf<typeof import('../plugins/adapters/postgres/connection/index.ts')>
    python?: OptionsOf<typeof import('../plugins/runtimes/python/index.ts')>
    redis?: OptionsOf<typeof import('../plugins/adapters/redis/connection/index.ts')>
    registry?: OptionsOf<typeof import('../plugins/jobs/registry/index.ts')>
    retention?: OptionsOf<typeof import('../plugins/jobs/retention/index.ts')>
    runMessages?: OptionsOf<typeof import('../plugins/flow/run-messages/index.ts')>
    schedules?: OptionsOf<typeof import('../plugins/flow/schedule/index.ts')>
    state?: OptionsOf<typeof import('../plugins/context/state/index.ts')>
    stats?: OptionsOf<typeof import('../plugins/observability/stats/index.ts')>
    step?: OptionsOf<typeof import('../plugins/flow/step/index.ts')>
    streaming?: OptionsOf<typeof import('../plugins/context/streaming/index.ts')>
    triggers?: OptionsOf<typeof import('../plugins/flow/triggers/index.ts')>
    upcast?: OptionsOf<typeof import('../plugins/context/upcast/index.ts')>
    wait?: OptionsOf<typeof import('../plugins/flow/wait/index.ts')>
    webhooks?: OptionsOf<typeof import('../plugins/flow/webhooks/index.ts')>
  }
}
