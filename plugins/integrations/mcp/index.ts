import { z } from 'zod'
import { definePlugin } from '../../../kernel/index.ts'
import { MAX_CHARACTERS } from '../lib/mcp/server.ts'
import { createEndpoint } from './endpoint.ts'

/** Serves the routes of the API as tools for agents (MCP) at `<path>mcp` of the plugin `http`. Loads the SDK with the first request. */
export default definePlugin({
  name: 'mcp',
  requires: ['http'],
  options: z.strictObject({
    /** Whether agents also get tools that make changes. Each call still needs its action. Default false. */
    write: z.boolean().default(false),
    /** How many characters of a result an agent receives at once. Default 20,000. */
    maxCharacters: z.number().int().min(1000).max(1_000_000).default(MAX_CHARACTERS),
  }),
  setup(kernel, options) {
    const endpoint = createEndpoint(kernel, options)
    kernel.http.mount('mcp', endpoint.serve, { action: 'mcp.read' })
    return endpoint.close
  },
})
