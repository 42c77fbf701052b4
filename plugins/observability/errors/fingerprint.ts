import { hash } from 'node:crypto'
import type { SerializedError } from '../../../kernel/index.ts'

/** How many characters of a message are compared. */
const MESSAGE = 300
const FRAME = 200

/** The properties by which errors are grouped: their name, their message, and where they were thrown. */
export interface ErrorShape {
  name: string
  /** The message, with `…` instead of values that differ between jobs: quoted values, ids and numbers. */
  message: string
  code?: string
  /** The function and file in which it was thrown, without the line. Absent if the stack names no file of the application. */
  frame?: string
}

/** Patterns of values that differ between errors of the same kind, in the order of replacement. */
const VARYING = [
  /"[^"]*"|`[^`]*`|(?<!\w)'[^']*'(?!\w)/g,
  /\b[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}\b/gi,
  /[\w.+-]+@[\w-]+\.[\w.-]+/g,
  // Words with digits that are too long to be names.
  /\b(?=[\w-]{0,100}\d)[\w-]{12,}/g,
  /\d+(?:[.,:]\d+)*/g,
]

export function shapeOf({ name, message, code, stack = '' }: SerializedError): ErrorShape {
  const frame = frameOf(stack)
  return { name, message: withoutValues(message), ...(code !== undefined && { code }), ...(frame && { frame }) }
}

/** Returns the fingerprint of errors with this shape in a worker. All processes compute the same value. */
export function fingerprintOf(queue: string, worker: string, { name, message, frame = '' }: ErrorShape): string {
  return hash('sha256', JSON.stringify([queue, worker, name, message, frame]), 'hex').slice(0, 16)
}

function withoutValues(message: string): string {
  let text = message.slice(0, MESSAGE)
  for (const pattern of VARYING) text = text.replaceAll(pattern, '…')
  return text
}

/** Frames of Node, of dependencies and of the standard library of Python. */
const FOREIGN =
  /node:|[/\\]node_modules[/\\]|[/\\](?:site-packages|lib[/\\]python[\d.]+)[/\\]|<(?:anonymous|frozen|string)/

/** Returns the innermost frame of the application. Python stacks begin with the outermost frame. */
function frameOf(stack: string): string | undefined {
  const python = [...stack.matchAll(/^ *File "([^"\n]+)", line \d+, in (.+)$/gm)]
  const own = python.findLast(([line]) => !FOREIGN.test(line))
  if (own) return place(own[2], own[1]!)
  for (const [line, call, place1, place2] of stack.matchAll(/^ +at (?:(.+?) \((.+)\)|(.+))$/gm)) {
    if (!FOREIGN.test(line)) return place(call, (place1 ?? place2)!.replace(/(?::\d+){1,2}$/, ''))
  }
  return undefined
}

/** Keeps two segments of the path, because the others differ between machines, and removes the hash that bundlers add to a name. */
function place(call: string | undefined, path: string): string {
  const file = path
    .replace(/[?#].*$/, '')
    .split(/[/\\]/)
    .slice(-2)
    .join('/')
    .replace(/[-.](?=[\w-]*\d)[\w-]{8}(?=\.[cm]?js$)/, '')
  return (call === undefined ? file : `${call} (${file})`).slice(0, FRAME)
}
