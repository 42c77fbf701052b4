import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createSseParser, type SseFrame } from '../../../../plugins/integrations/client/sse.ts'

function parse(bytes: Uint8Array, cuts: readonly number[] = []): SseFrame[] {
  const push = createSseParser()
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b)
  return [0, ...ends].flatMap((start, index) => push(bytes.subarray(start, ends[index] ?? bytes.length)))
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const frame = (parts: Partial<SseFrame>): SseFrame => ({
  event: 'message',
  data: undefined,
  id: undefined,
  retry: undefined,
  ...parts,
})

describe('the parser of event streams', () => {
  it('parses events like a browser', () => {
    const text = `\uFEFFretry: 1000\n: a comment\n\nid: 1\ndata: {"a":1}\n\n\nevent:end\rdata\r\rid:2\r\n\r\ndata: a\ndata:  b\n\n: ping\n\nretry: x\nid: a\0b\n\ndata: cut`
    expect(parse(encode(text))).toEqual([
      frame({ retry: 1000 }),
      frame({ id: '1', data: '{"a":1}' }),
      frame({ event: 'end', data: '' }),
      frame({ id: '2' }),
      frame({ data: 'a\n b' }),
    ])
  })

  it('parses the same events wherever the bytes are split, including within characters and line ends', () => {
    const line = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\r\n\0]/g, ' '))
    const frames = fc.array(
      fc.record({
        id: fc.option(line),
        lines: fc.array(line, { minLength: 1 }),
        end: fc.constantFrom('\n', '\r\n', '\r'),
      }),
    )
    const property = fc.property(frames, fc.array(fc.nat()), (given, cuts) => {
      const text = given
        .map(({ id, lines, end }) => {
          const all = [...(id === null ? [] : [`id: ${id}`]), ...lines.map((data) => `data: ${data}`), '', '']
          return all.join(end)
        })
        .join('')
      const expected = given.map(({ id, lines }) => frame({ id: id ?? undefined, data: lines.join('\n') }))
      expect(parse(encode(text), cuts)).toEqual(expected)
    })
    fc.assert(property, { numRuns: 300 })
  })
})
