/** Returns values that a handler may log and that no queue can store unchanged. */
export function oddMeta(): object {
  const ring: Record<string, unknown> = {}
  ring.ring = ring
  class Account {
    readonly owner = 'Ada'
    get balance(): never {
      throw new Error('not for you')
    }
  }
  return {
    error: new Error('boom', { cause: ring }),
    url: new URL('https://example.com/?q=1'),
    map: new Map([['key', new Set([1])]]),
    ring,
    account: new Account(),
    run: () => {},
    sign: Symbol('sign'),
    long: 'x'.repeat(2 ** 21),
    get hidden(): never {
      throw new Error('not for you')
    },
  }
}
