import { reactive, readonly } from 'vue'
import { addressOf, path } from './request.ts'
import type { RunEvent } from './types.ts'

export interface LiveMessage {
  runId?: string
  type: string
  data?: unknown
}

/** Receives the events of the stream. `reset` is called if events may have been missed. */
export interface Watcher {
  events?: (events: readonly RunEvent[]) => void
  message?: (message: LiveMessage) => void
  end?: () => void
  reset?: () => void
}

/** How long a hidden page keeps its stream, in milliseconds. */
const HIDDEN = 10_000
/** How long events are collected before they are shown together, in milliseconds. */
const FLUSH = 40

const state = reactive<{ status: 'connecting' | 'live' | 'paused' | 'ended' }>({ status: 'connecting' })
export const live = readonly(state)

const watchers = new Set<Watcher>()
let source: EventSource | undefined
let target = { run: '', after: 0 }
let pending: RunEvent[] = []
let frame = 0
let hiding: ReturnType<typeof setTimeout> | undefined

function flush(): void {
  frame = 0
  const events = pending
  pending = []
  const last = events.findLast((event) => event.runId === target.run)
  if (last) target.after = Math.max(target.after, last.seq)
  for (const watcher of watchers) watcher.events?.(events)
}

function open(): void {
  source?.close()
  const { run, after } = target
  const url = run === '' ? addressOf('stream', { after: 'now' }) : addressOf(`${path('runs', run)}/stream`, { after })
  state.status = 'connecting'
  const opened = new EventSource(url)
  let lost = false
  source = opened
  opened.addEventListener('open', () => {
    state.status = 'live'
    if (lost || run === '') for (const watcher of watchers) watcher.reset?.()
    lost = false
  })
  opened.addEventListener('error', () => {
    lost = true
    // The browser does not reconnect after a response that is not a stream, such as a page of a proxy.
    if (opened.readyState === EventSource.CLOSED && source === opened)
      setTimeout(() => source === opened && open(), 3000)
    state.status = 'connecting'
  })
  opened.addEventListener('message', ({ data }: MessageEvent<string>) => {
    pending.push(JSON.parse(data) as RunEvent)
    // A timer, because frames do not come while a page is hidden.
    frame ||= window.setTimeout(flush, FLUSH)
  })
  opened.addEventListener('ephemeral', ({ data }: MessageEvent<string>) => {
    for (const watcher of watchers) watcher.message?.(JSON.parse(data) as LiveMessage)
  })
  for (const name of ['end', 'failure']) {
    opened.addEventListener(name, () => {
      if (frame !== 0) flush()
      opened.close()
      state.status = 'ended'
      for (const watcher of watchers) watcher.end?.()
    })
  }
}

function onVisibility(): void {
  clearTimeout(hiding)
  if (document.hidden) {
    hiding = setTimeout(() => {
      source?.close()
      source = undefined
      if (state.status !== 'ended') state.status = 'paused'
    }, HIDDEN)
  } else if (!source && state.status === 'paused') open()
}

/** Opens the only stream of the page: of all runs, or of one run from an event on. */
export function follow(run = '', after = 0): void {
  if (source && run === '' && target.run === '') return
  target = { run, after }
  pending = []
  open()
}

export function watchLive(watcher: Watcher): () => void {
  watchers.add(watcher)
  return () => void watchers.delete(watcher)
}

document.addEventListener('visibilitychange', onVisibility)
