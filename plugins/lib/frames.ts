import { pathToFileURL } from 'node:url'
import { isQueueError } from '../../kernel/index.ts'
import { codeFile, packageFile } from './package-files.ts'

/** The maximum number of frames of a stack that are shown. */
const MAX_FRAMES = 5
const FRAME = /^\s+(?:at |File ")/
/** A line of code below a frame of Python. */
const SOURCE = /^ {4}/
/** The version of a file that was loaded again after a change. An editor opens the address without it. */
const VERSION = /\?v=[\d.]+(?=:\d)/
/** Frames that are not the application's: the code of this package, its Python SDK, and the packages that load and call its code. */
const OURS = [
  codeFile(''),
  pathToFileURL(codeFile('')).href,
  packageFile('python-sdk/src'),
  ...['jiti', 'unctx', 'citty'].map((name) => `/node_modules/${name}/`),
]

/** Makes the stack of an error begin at the caller of a function, if that function is still running. */
export function beginAtCaller(error: Error, called: (...args: never[]) => unknown): void {
  const { stack } = error
  Error.captureStackTrace(error, called)
  if (!error.stack?.includes('\n    at ')) error.stack = stack
}

/** Returns the stack frames where the innermost cause of an error was thrown, as lines. Returns no lines for errors of this package. */
export function placeOf(error: unknown): string[] {
  if (!(error instanceof Error)) return []
  if (error.cause instanceof Error) return placeOf(error.cause)
  return isQueueError(error) && !isPython(error) ? [] : ownFrames(error.stack)
}

/** Whether an error came from a Python file. It then has a traceback instead of a stack. */
function isPython({ stack }: Error): boolean {
  return stack !== undefined && /^\s+File "/m.test(stack)
}

/**
 * Returns the frames of a stack that belong to the application, with the innermost first in JavaScript. A Python frame includes its line of
 * code, and for a syntax error the marker below it.
 */
export function ownFrames(stack: string | undefined): string[] {
  const frames: string[] = []
  for (const line of stack?.split('\n') ?? []) {
    if (FRAME.test(line)) frames.push(line)
    else if (frames.length > 0 && SOURCE.test(line)) frames.push(`${frames.pop()!}\n${line}`)
  }
  return frames
    .filter((frame) => !frame.includes('node:internal') && !OURS.some((place) => frame.includes(place)))
    .slice(0, MAX_FRAMES)
    .map((frame) => frame.replace(VERSION, ''))
}
