import { pathToFileURL } from 'node:url'
import { codeFile, packageFile } from '../../lib/package-files.ts'

/** The most frames that are shown of a stack. */
const MAX_FRAMES = 5
const FRAME = /^\s+(?:at |File ")/
/** Where the frames of this package are: its code as a path and as a URL, and the Python SDK. */
const OURS = [codeFile(''), pathToFileURL(codeFile('')).href, packageFile('python-sdk/src')]

/** Returns the frames of a stack that belong to the application, with the innermost first in JavaScript. */
export function ownFrames(stack: string | undefined): string[] {
  const frames = stack?.split('\n').filter((line) => FRAME.test(line)) ?? []
  return frames
    .filter((line) => !line.includes('node:internal') && !OURS.some((place) => line.includes(place)))
    .slice(0, MAX_FRAMES)
}
