/*
 * Values that applications pass by mistake, or attackers on purpose. Each list contains invalid values of one kind.
 */

/** Invalid ids, keys, names and tags. */
export const BAD_TEXTS: readonly unknown[] = [
  ...[
    '',
    '\0',
    'a\0b',
    '\ud800',
    'a\udfffb',
    '\udc00\ud800',
    'x'.repeat(513),
    'x'.repeat(3000),
    'é'.repeat(257),
    '🐄'.repeat(129),
  ],
  ...[7, 0, NaN, true, null, 10n, {}, [], ['a'], new Date(0), new Uint8Array(2), () => 'id', Symbol('id')],
]
/** Valid ids, keys, names and tags that look unusual. */
export const GOOD_TEXTS: readonly string[] = [
  ...['a', '0', '-1', ' ', 'x'.repeat(512), 'é'.repeat(256), '🐄'.repeat(128), '__proto__', 'constructor', 'toString'],
  ...[
    'a:b',
    '{a}',
    '%00',
    'a/b',
    "it's",
    '"',
    '\\',
    '$1',
    '*',
    'end:a',
    '\u2028',
    '\ufffd',
    'null',
    'a\nb',
    '../a',
    '中文',
  ],
]
/** Invalid durations. */
export const BAD_DURATIONS: readonly unknown[] = [
  ...[
    NaN,
    Infinity,
    -Infinity,
    -1,
    -0.001,
    1e300,
    Number.MAX_VALUE,
    '5s',
    '5000',
    '',
    null,
    true,
    10n,
    {},
    [5],
    () => 5,
  ],
]
/** Invalid moments. */
export const BAD_MOMENTS: readonly unknown[] = [
  ...[NaN, Infinity, -Infinity, 1e300, -1, 253_402_300_800_000, '2026-01-01', null, true, 10n, {}, []],
  ...[new Date(NaN), new Date('oops'), new Date(8.64e15), new Date(-1)],
]
/** Invalid counts. */
export const BAD_COUNTS: readonly unknown[] = [
  ...[NaN, Infinity, 0, -1, 1.5, 3e9, 2 ** 31, 1e300, '3', '', null, true, 10n, {}, [1], new Date(0)],
]
/** Invalid priorities. */
export const BAD_PRIORITIES: readonly unknown[] = [
  ...[NaN, Infinity, -Infinity, 1e300, -1e300, 2 ** 53, '1', null, true, 10n, {}, []],
]
