import { parseChoice, parseData, parseWhole } from '../arguments.ts'
import { formatTable, type Output } from '../output.ts'
import type { Results } from '../protocol.ts'
import { command, type Commands, type Opener } from './define.ts'

const ACTIONS = ['list', 'history', 'fire', 'save', 'pause', 'resume', 'remove'] as const
const DONE = { save: 'saved', pause: 'paused', resume: 'resumed', remove: 'removed' } as const

const moment = (ms: number): string => new Date(ms).toISOString()

export function triggerCommands(open: Opener): Commands {
  return {
    triggers: command(
      'List triggers and their last outcomes, or change a trigger in all processes',
      {
        action: { type: 'positional', required: false, description: `${ACTIONS.join(', ')}. Default: list` },
        name: { type: 'positional', required: false, description: 'The name of a trigger' },
        data: {
          type: 'string',
          valueHint: 'JSON',
          description:
            'For save: the trigger, such as {"type":"event","event":"paid","worker":"ship"}, or a webhook whose secret is in an environment variable, such as {"type":"webhook","path":"github","verify":{"type":"hmac","scheme":"github","secretEnv":"NUXT_QUEUE_WEBHOOK_GITHUB"},"worker":"ship"}. For fire: the payload',
        },
        id: { type: 'string', description: 'For fire: the id of the event. Each id fires once' },
        limit: { type: 'string', description: 'For history: the maximum number of entries', default: '20' },
      },
      ({ action, name = '', data, id, limit }, { cwd, output }) => {
        const change = action === undefined ? 'list' : parseChoice('The action', ACTIONS, action)
        return open.project(cwd, async (backend) => {
          if (change === 'list') return printTriggers(await backend.ask('triggers', {}), output)
          if (change === 'history') {
            return printHistory(
              await backend.ask('triggerHistory', { name, limit: parseWhole('limit', limit) }),
              output,
            )
          }
          if (change === 'fire') {
            const job = await backend.ask('fireTrigger', { name, payload: parseData(data), id })
            return output.json ? output.value(job) : output.line(`Trigger ${name}: fired.`)
          }
          if (change === 'save') {
            await backend.ask('saveTrigger', { name, trigger: Object(parseData(data)) as Record<string, unknown> })
          } else await backend.ask('changeTrigger', { name, change })
          if (output.json) output.value({ name, change })
          else output.line(`Trigger ${name}: ${DONE[change]}.`)
        })
      },
      ['triggers', 'triggers pause orders', 'triggers history orders --limit 5'],
    ),
  }
}

function printTriggers(triggers: Results['triggers'], output: Output): void {
  if (output.json) return output.value(triggers)
  if (triggers.length === 0) return output.line('No triggers.')
  const rows = triggers.map(({ name, type, event, url, path, subscriptions, paused, removed, recent }) => [
    ...[name, type, event ?? url ?? path ?? ''],
    subscriptions.map(({ flow, worker }) => (flow === undefined ? worker : `flow ${flow}`)).join(', '),
    removed ? 'removed' : paused ? 'paused' : '',
    recent[0] === undefined ? '' : `${recent[0].reason ?? recent[0].type} ${moment(recent[0].at)}`,
  ])
  for (const line of formatTable(['trigger', 'type', 'source', 'starts', 'state', 'last'], rows)) output.line(line)
}

function printHistory(records: Results['triggerHistory'], output: Output): void {
  if (output.json) return output.value(records)
  if (records.length === 0) return output.line('Nothing has arrived.')
  const rows = records.map(({ at, type, id, verified, reason, message, count = 1 }) => [
    ...[moment(at), type, id, verified === undefined ? '' : verified ? 'verified' : 'not verified'],
    [reason, message, count > 1 ? `(${count} requests)` : ''].filter(Boolean).join(' '),
  ])
  for (const line of formatTable(['at', 'outcome', 'id', 'sender', 'reason'], rows)) output.line(line)
}
