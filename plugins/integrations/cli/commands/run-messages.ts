import { parseData } from '../arguments.ts'
import type { Output } from '../output.ts'
import { command, type Commands, type Opener } from './define.ts'

const run = { type: 'positional', required: true, description: 'The id of a run' } as const
const data = (description: string) => ({ type: 'string', valueHint: 'JSON', description }) as const

function print(response: unknown, output: Output): void {
  if (output.json) output.value(response ?? null)
  else if (response === undefined) output.line('Done.')
  else if (typeof response === 'string') output.line(response)
  else output.block(response)
}

export function runMessageCommands(open: Opener): Commands {
  return {
    query: command(
      'Compute a query of a run of a flow',
      {
        run,
        name: { type: 'positional', required: true, description: 'The name of the query' },
        data: data('The input of the query'),
      },
      ({ run: runId, name, data: input }, { cwd, output }) =>
        open.project(cwd, async (backend) =>
          print(await backend.ask('queryRun', { runId, name, input: parseData(input) }), output),
        ),
      ['query 3f6c… total', 'query 3f6c… countAbove --data 20'],
    ),
    update: command(
      'Change a run of a flow with one of its updates',
      {
        run,
        name: { type: 'positional', required: true, description: 'The name of the update' },
        data: data('The input of the update'),
        id: { type: 'string', description: 'The id of the update. A repeated id has no effect' },
      },
      ({ run: runId, name, data: input, id }, { cwd, output }) =>
        open.project(cwd, async (backend) =>
          print(await backend.ask('updateRun', { runId, name, input: parseData(input), id }), output),
        ),
      [`update 3f6c… address --data '{"street":"Main St 1"}'`],
    ),
    signal: command(
      'Send a signal to a run of a flow',
      {
        run,
        name: { type: 'positional', required: true, description: 'The name of the signal' },
        data: data('The payload of the signal'),
        id: { type: 'string', description: 'The id of the signal. A repeated id has no effect' },
      },
      ({ run: runId, name, data: payload, id }, { cwd, output }) =>
        open.project(cwd, async (backend) => {
          const sent = await backend.ask('signalRun', { runId, name, payload: parseData(payload), id })
          if (output.json) output.value(sent)
          else output.line(`Signal ${name}: sent.`)
        }),
      ['signal 3f6c… approved', `signal 3f6c… approved --data '{"by":"Ada"}'`],
    ),
  }
}
