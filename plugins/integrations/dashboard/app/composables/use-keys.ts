import { onScopeDispose } from 'vue'

export interface Key {
  /** A key, or two keys in a row such as `g q`. */
  keys: string
  does: string
  act: () => void
  /** Also works in fields and with a dialog open. */
  always?: boolean
}

const known = new Set<Key>()
let before = ''
let beforeAt = 0

function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement
  return target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
}

const isBlocked = (): boolean => document.querySelector('[role=dialog], [role=alertdialog], [role=menu]') !== null

function onKey(event: KeyboardEvent): void {
  if (event.altKey || event.isComposing) return
  const modified = event.metaKey || event.ctrlKey
  const name = (modified ? 'mod+' : '') + (event.key.length === 1 ? event.key.toLowerCase() : event.key)
  const sequence = Date.now() - beforeAt < 1000 ? `${before} ${name}` : name
  before = name
  beforeAt = Date.now()
  const all = [...known].toReversed()
  const found = all.find(({ keys }) => keys === sequence) ?? all.find(({ keys }) => keys === name)
  if (!found || (found.always !== true && (isTyping(event) || isBlocked()))) return
  event.preventDefault()
  before = ''
  found.act()
}

window.addEventListener('keydown', onKey)

/** Registers keys while the component exists. The latest registration of a key takes precedence. */
export function useKeys(...keys: readonly Key[]): void {
  for (const key of keys) known.add(key)
  onScopeDispose(() => {
    for (const key of keys) known.delete(key)
  })
}

/** Returns the keys that work now, for the help. */
export function activeKeys(): Key[] {
  return [...new Map([...known].map((key) => [key.keys, key])).values()]
}
