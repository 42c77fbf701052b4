import { createHash } from 'node:crypto'
import type { WaitPage } from './options.ts'

/** The state of a wait that its page shows. */
export type PageState = 'open' | 'accepted' | 'answered' | 'expired' | 'unknown'

export interface PageFacts extends WaitPage {
  state: PageState
  /** The moment of the timeout, in milliseconds since the epoch. */
  until?: number | undefined
  /** The parameters of the URL, which the button posts. */
  answer?: URLSearchParams
}

const STATUS: Readonly<Record<PageState, number>> = {
  open: 200,
  accepted: 200,
  answered: 409,
  expired: 410,
  unknown: 404,
}

const OUTCOMES: Readonly<Record<Exclude<PageState, 'open'>, [title: string, text: string]>> = {
  accepted: ['Thank you', 'Your answer has been recorded. You can close this page.'],
  answered: ['Already answered', 'This has already been answered, so nothing has changed. You can close this page.'],
  expired: ['No longer open', 'The time to respond is over, or a response is no longer needed. Nothing has changed.'],
  unknown: [
    'Not found',
    'There is nothing to answer at this address. Check that the link is complete; it may also be too old.',
  ],
}

/** SVG paths of the icons, in a square of 24 by 24. */
const ICONS: Readonly<Record<PageState, string>> = {
  open: 'M9.2 9.2a2.9 2.9 0 1 1 4.2 2.6c-.9.5-1.4 1-1.4 2.1M12 17.2v.1',
  accepted: 'm7.5 12.4 3.1 3.1 6-6.6',
  answered: 'm7.5 12.4 3.1 3.1 6-6.6',
  expired: 'M12 7v5.3l3.3 2',
  unknown: 'm9 9 6 6m0-6-6 6',
}

const STYLE = `
:root { color-scheme: light dark; --back: #f4f5f7; --card: #fff; --line: #dfe2e8; --text: #17191f; --soft: #5a6170; --tint: #1d5fd6; --on: #fff; --mark: #e8effc }
[data-state=accepted] { --tint: #14723f; --mark: #e3f4ea }
[data-state=answered], [data-state=expired], [data-state=unknown] { --tint: #5a6170; --mark: #eceef2 }
@media (prefers-color-scheme: dark) {
  :root { --back: #101216; --card: #191c22; --line: #2e333d; --text: #eceef2; --soft: #a2a9b6; --tint: #8ab4ff; --on: #0c1a33; --mark: #1d2c48 }
  [data-state=accepted] { --tint: #6fd69a; --mark: #173425 }
  [data-state=answered], [data-state=expired], [data-state=unknown] { --tint: #a2a9b6; --mark: #272c35 }
}
* { box-sizing: border-box; margin: 0 }
body { min-height: 100vh; min-height: 100svh; display: grid; place-items: center; padding: 24px 16px; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; -webkit-text-size-adjust: 100% }
main { width: 100%; max-width: 448px; padding: 32px; background: var(--card); border: 1px solid var(--line); border-radius: 16px; overflow-wrap: anywhere }
svg { display: block; width: 48px; height: 48px; margin-bottom: 20px; border-radius: 50%; background: var(--mark); color: var(--tint) }
h1 { font-size: 22px; line-height: 1.3; font-weight: 650; letter-spacing: -.01em; text-wrap: balance }
p { margin-top: 8px; color: var(--soft); white-space: pre-line }
dl { display: grid; grid-template-columns: minmax(auto, 40%) 1fr; gap: 8px 16px; margin-top: 24px; padding: 16px 0; border: solid var(--line); border-width: 1px 0; font-size: 15px }
dl:last-child { border-bottom: 0; padding-bottom: 0 }
dt { color: var(--soft) }
dd { font-weight: 550 }
button { width: 100%; min-height: 48px; margin-top: 28px; padding: 10px 20px; border: 0; border-radius: 10px; background: var(--tint); color: var(--on);
  font: inherit; font-weight: 600; cursor: pointer }
button:hover { filter: brightness(1.08) }
button:active { filter: brightness(.95) }
button:focus-visible { outline: 3px solid var(--tint); outline-offset: 3px }
small { display: block; margin-top: 16px; font-size: 14px; color: var(--soft) }
@media (max-width: 480px) { main { padding: 24px 20px } }
`

/** The page loads no resources and runs no scripts, its form posts only to this URL, and other pages cannot embed it. */
const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': [
    `default-src 'none'`,
    `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
    ...[`form-action 'self'`, `base-uri 'none'`, `frame-ancestors 'none'`],
  ].join('; '),
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'x-robots-tag': 'noindex, nofollow',
}

/** Returns the page of a wait: a question with a button, or the outcome. */
export function pageResponse(facts: PageFacts, { method }: Pick<Request, 'method'>): Response {
  return new Response(method === 'HEAD' ? null : pageOf(facts), { status: STATUS[facts.state], headers: HEADERS })
}

function pageOf({ state, title, text, button, until, answer }: PageFacts): string {
  const [heading, sentence] =
    state === 'open'
      ? [title ?? 'Your answer, please', text ?? 'Something waits for you. Nothing happens until you press the button.']
      : OUTCOMES[state]
  const form = `<form method="post"><button type="submit">${escape(button ?? 'Confirm')}</button></form>`
  const body = [
    `<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="${ICONS[state]}"/></svg>`,
    `<h1>${escape(heading)}</h1>`,
    `<p>${escape(sentence)}</p>`,
    ...(state === 'open' || state === 'accepted' ? [listOf(answer)] : []),
    ...(state === 'open' ? [form, deadlineOf(until)] : []),
  ]
  return `<!doctype html>
<html lang="en" data-state="${state}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(heading)}</title>
<style>${STYLE}</style>
</head>
<body>
<main${state === 'open' ? '' : ' role="status"'}>
${body.filter(Boolean).join('\n')}
</main>
</body>
</html>
`
}

function listOf(answer: URLSearchParams = new URLSearchParams()): string {
  const rows = [...answer].map(([name, value]) => `<dt>${escape(name)}</dt><dd>${escape(value)}</dd>`)
  return rows.length === 0 ? '' : `<dl>${rows.join('')}</dl>`
}

function deadlineOf(until: number | undefined): string {
  if (until === undefined) return ''
  const date = new Date(until)
  const shown = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' }).format(
    date,
  )
  return `<small>Open until <time datetime="${date.toISOString()}">${shown} UTC</time></small>`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!)
}
