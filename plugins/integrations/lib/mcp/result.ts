import { SKIP, type Tool } from './tools.ts'

/** The result of a tool. Notes are separate blocks, so that data cannot pretend to be a note. */
export type ToolResult = {
  content: { type: 'text'; text: string }[]
  isError: boolean
}

interface Slice {
  text: string
  more: boolean
  /** How many characters the source lacks to reach the beginning of the slice. */
  short: number
}

/** Reads at most `size` characters of a text, and no more of its source than is needed. */
async function readSlice(response: Response, from: number, size: number): Promise<Slice> {
  let text = ''
  let left = from
  if (!response.body) return { text, more: false, short: 0 }
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk.slice(left)
    left = Math.max(0, left - chunk.length)
    // Leaving the loop cancels the source.
    if (text.length > size) return { text: text.slice(0, size), more: true, short: 0 }
  }
  return { text, more: false, short: left }
}

/** Turns a response of the API into a result that fits into the context of a model, with a note about the rest. */
export async function toolResultOf(
  response: Response,
  { name, pages }: Tool,
  skip: number,
  maxCharacters: number,
): Promise<ToolResult> {
  const { text, more, short } = await readSlice(response, skip, maxCharacters)
  const note = more
    ? `The result was cut after ${skip + text.length} characters. To continue, call ${name} with the same arguments and ${SKIP}: ${skip + text.length}. To get less, use a smaller limit or a filter.`
    : short > 0
      ? `The result has only ${skip - short} characters. Call ${name} with a smaller ${SKIP}.`
      : nextPage(text, name, pages)
  const blocks = note === undefined ? [text] : [text, note]
  return { content: blocks.map((block) => ({ type: 'text', text: block })), isError: !response.ok }
}

function nextPage(text: string, name: string, pages: boolean): string | undefined {
  const next = pages ? nextOf(text) : undefined
  return next === undefined
    ? undefined
    : `There may be more. Call ${name} with the same arguments and after: ${JSON.stringify(next)}.`
}

/** The rest of a truncated result is not JSON. */
function nextOf(text: string): string | undefined {
  try {
    const { next } = Object(JSON.parse(text)) as { next?: unknown }
    return typeof next === 'string' ? next : undefined
  } catch {
    return undefined
  }
}
