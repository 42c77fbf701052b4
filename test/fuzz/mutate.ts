import { picker, seeded } from '../../testing/conformance/random.ts'

/** Input with which parsers, databases and prototypes have problems. */
const JUNK = [
  ...[
    '',
    ' ',
    '\0',
    '\r\n',
    '%',
    '%2e%2e/',
    '%00',
    '../',
    '//',
    '?',
    '#',
    '&',
    '=',
    ';',
    ',',
    ':',
    '"',
    "'",
    '\\',
    '<b>',
  ],
  ...['__proto__', 'constructor', 'toString', 'null', 'undefined', 'NaN', '-1', '1e999', '-0', '9007199254740993'],
  ...[
    '\ud83d',
    '\udc00',
    '\u202e',
    '\u2028',
    'é',
    '{}',
    '[]',
    '{"$date":',
    '{"$bigint":"1"}',
    '{"$number":"NaN"}',
    "' OR 1=1 --",
  ],
]

/** Generates and mutates input, depending only on the seed. */
export function createMutator(seed: number) {
  const random = seeded(seed)
  const below = (count: number): number => Math.floor(random() * count)
  const pick = picker(random)

  /** Returns a text that is nearly the given one, and sometimes much longer. */
  function text(from: string): string {
    const at = below(from.length + 1)
    switch (below(6)) {
      case 0:
        return from.slice(0, at)
      case 1:
        return from + from.slice(at)
      case 2:
        return from.slice(0, at) + String.fromCharCode(below(0x10000)) + from.slice(at + 1)
      case 3:
        return from.slice(0, at) + pick(JUNK).repeat(1 + below(below(20) === 0 ? 2000 : 2)) + from.slice(at)
      default:
        return from.slice(0, at) + pick(JUNK) + from.slice(at + below(4))
    }
  }

  /** Returns JSON that is nearly that of a value. */
  function json(value: unknown): string {
    const given = JSON.stringify(value) ?? ''
    if (below(3) === 0) return text(given)
    const nested = below(10) === 0 ? '['.repeat(below(3000)) : pick(JUNK)
    return given.replace(/"[^"]*"|-?\d+|null|true|false/g, (token) => {
      if (below(4) > 0) return token
      return pick([
        token,
        `"${pick(JUNK)}"`,
        JSON.stringify(pick(JUNK)),
        pick(['null', '[]', '{}', '1e999', '-1', '""']),
        nested,
      ])
    })
  }

  return { below, pick, text, json, maybe: (from: string) => (below(3) === 0 ? text(from) : from) }
}
export type Mutator = ReturnType<typeof createMutator>
