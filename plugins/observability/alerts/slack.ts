import { cutText } from '../../../kernel/index.ts'
import type { Alert } from './alert.ts'

/** Slack accepts at most 3000 characters in a section. */
const MAX_TEXT = 2900
const MAX_LINE = 250

/** Returns an alert as a Slack message. Mattermost, Discord (`/slack`) and others accept this format as well. */
export function slackMessage({ id, rule, at, title, count, items, more }: Alert): Buffer<ArrayBuffer> {
  const lines = items.length > 1 ? items.map(({ text }) => `• ${escape(text)}`) : []
  if (more > 0) lines.push(`… and ${more} more`)
  const text = [`*${escape(title)}*`, ...lines].join('\n')
  const facts = [`Rule \`${rule}\``, `${count}×`, new Date(at).toISOString(), id].join('  ·  ')
  const blocks = [
    { type: 'section', text: { type: 'mrkdwn', text: cutText(text, MAX_TEXT) } },
    { type: 'context', elements: [{ type: 'mrkdwn', text: facts }] },
  ]
  return Buffer.from(JSON.stringify({ text: escape(title), blocks }))
}

/** Escapes text that Slack would read as a link, a mention or their markup. */
function escape(text: string): string {
  return cutText(text, MAX_LINE).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
