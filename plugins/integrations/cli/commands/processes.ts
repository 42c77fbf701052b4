import type { Host } from '../backend.ts'
import { httpArgs, parseHttp } from '../serving.ts'
import { command, type Commands } from './define.ts'

export function processCommands(host: Host): Commands {
  return {
    dev: command(
      'Run the workers of a project and print what happens',
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
  }
}
