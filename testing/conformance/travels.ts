/** Values that queues and event stores must return unchanged, by description. */
export const SUPPORTED_VALUES: Readonly<Record<string, unknown>> = {
  null: null,
  undefined,
  'undefined inside': { a: undefined, b: [undefined, 1] },
  booleans: [true, false],
  numbers: [0, -0, 1.5, -1e308, Number.MAX_SAFE_INTEGER, NaN, Infinity, -Infinity],
  bigint: { small: 1n, large: -(2n ** 80n) },
  text: ['', 'plain', 'ünï 😀 \u0000 \u2028', '"quoted" \\ {{}}'],
  'lone surrogates': ['\ud800', 'a\udc00b'],
  date: { at: new Date('2026-02-03T04:05:06.789Z'), old: new Date(-1) },
  'text that looks like something else': ['2026-02-03T04:05:06.789Z', '$date', '1n', '__proto__'],
  'objects that look like an encoding': [{ $date: 1 }, { $type: 'bigint', value: '1' }, { type: 'Buffer', data: [1] }],
  binary: new Uint8Array([0, 1, 127, 128, 255]),
  'odd keys': JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1, "": 2, "a.b": 3, "toString": 4}'),
  nested: { list: [[{ deep: [new Date(0), 1n, new Uint8Array(2)] }]] },
  'empty things': { list: [], object: {} },
}
