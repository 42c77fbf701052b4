import type { Host } from '../backend.ts'
import { parseWhole } from '../arguments.ts'
import { httpArgs, parseHttp } from '../serving.ts'
import { command, type Commands } from './define.ts'

export function processCommands(host: Host): Commands {
  return {
    init: command(
      'Add a first worker and the configuration to a project',
      { 'dry-run': { type: 'boolean', description: 'Only print the changes, without writing' } },
      async ({ 'dry-run': dry }, { cwd, output }) => {
        const { runInit } = await import('../init/index.ts')
        return runInit(cwd, output, { dryRun: dry === true })
      },
      ['init', 'init --dry-run'],
    ),
    dev: command(
      'Run the workers of a project and print events',
      httpArgs,
      async (args, { cwd, output }) => {
        const http = parseHttp(args)
        const { runDev } = await import('../dev.ts')
        return runDev(host, cwd, output, http)
      },
      ['dev', 'dev --http'],
    ),
    start: command(
      'Run the workers of a project in production',
      {
        ...httpArgs,
        worker: { type: 'boolean', default: true, description: 'Run jobs', negativeDescription: 'Serve HTTP only' },
      },
      async ({ worker, ...args }, { cwd, output }) => {
        const http = parseHttp(args)
        const { runStart } = await import('../start.ts')
        return runStart(host, cwd, output, { worker, http })
      },
      ['start', 'start --http 4000 --no-worker'],
    ),
    ui: command(
      'Serve the dashboard to this machine',
      {
        url: {
          type: 'string',
          description: 'A server, such as https://shop.example.com/_queue/. Default: the store of the project',
        },
        token: {
          type: 'string',
          description: 'One of the tokens in http.token of the server. Default: NUXT_QUEUE_TOKEN',
        },
        port: { type: 'string', description: 'The port of the dashboard. Default: any free port', default: '0' },
        open: {
          type: 'boolean',
          default: true,
          description: 'Open a browser',
          negativeDescription: 'Only print the address',
        },
      },
      async ({ url, token = process.env.NUXT_QUEUE_TOKEN, port, open }, { cwd, output }) => {
        const { runUi } = await import('../ui.ts')
        const shown = open && process.stdout.isTTY
        return runUi(host, cwd, output, { url, token, port: parseWhole('port', port)!, open: shown })
      },
      ['ui', 'ui --url https://shop.example.com/_queue/ --token "$TOKEN"'],
    ),
    mcp: command(
      'Serve the queues as tools to an agent, over standard input and output (MCP)',
      {
        write: { type: 'boolean', default: false, description: 'Include tools that make changes' },
        url: {
          type: 'string',
          description: 'A server, such as https://shop.example.com/_queue/. Default: the project',
        },
        token: {
          type: 'string',
          description: 'One of the tokens in http.token of the server. Default: NUXT_QUEUE_TOKEN',
        },
      },
      async ({ write, url, token = process.env.NUXT_QUEUE_TOKEN }, { cwd }) => {
        const { runMcp } = await import('../mcp.ts')
        return runMcp(host, cwd, { write, url, token })
      },
      ['mcp', 'mcp --write', 'mcp --url https://shop.example.com/_queue/'],
    ),
  }
}
