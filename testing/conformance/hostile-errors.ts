/** Values that a handler may throw and that must not break anything. Each call creates a new value. */
export const hostileErrors: Readonly<Record<string, () => unknown>> = {
  'an error of 2 MiB': () => new Error('x'.repeat(2 ** 21)),
  'an error with a stack of 2 MiB': () => Object.assign(new Error('long way'), { stack: 'y'.repeat(2 ** 21) }),
  'an error whose members are not strings': () =>
    Object.assign(new Error('odd'), { message: { deep: ['message'] }, name: 7, stack: ['at', 'home'], code: 5n }),
  'an error whose getters throw': () => {
    const error = new Error('hidden')
    for (const name of ['name', 'message', 'stack', 'code', 'cause', 'retryable', 'errors']) {
      Object.defineProperty(error, name, {
        get() {
          throw new Error(`no ${name}`)
        },
      })
    }
    return error
  },
  'a Proxy that throws': () => {
    const refuse = (): never => {
      throw new Error('out of reach')
    }
    return new Proxy(new Error('behind'), { get: refuse, getPrototypeOf: refuse, has: refuse, ownKeys: refuse })
  },
  'a Proxy that was revoked': () => {
    const { proxy, revoke } = Proxy.revocable(new Error('gone'), {})
    revoke()
    return proxy
  },
  'a frozen error': () => Object.freeze(new Error('cold')),
  'an error that causes itself': () => {
    const error: Error & { cause?: unknown } = new Error('ouroboros')
    error.cause = new Error('tail', { cause: error })
    return error
  },
  'an endless chain of causes': () =>
    Object.defineProperty(new Error('deep'), 'cause', {
      get(): unknown {
        return (hostileErrors['an endless chain of causes'] as () => unknown)()
      },
    }),
  'an AggregateError of a thousand': () =>
    new AggregateError(
      Array.from({ length: 1000 }, (_, index) => new Error(`part ${index} ${'z'.repeat(5000)}`)),
      'all of them',
    ),
  'an AggregateError that contains itself': () => {
    const errors: unknown[] = []
    const error = new AggregateError(errors, 'mirror')
    error.errors = [error, new AggregateError([error], 'again')]
    return error
  },
  'text with a lone surrogate and a NUL': () => new Error('\ud800 \0 \udfff'),
  'an object without a prototype': () => Object.assign(Object.create(null), { message: 'bare' }) as unknown,
  nothing: () => undefined,
  'a symbol': () => Symbol('sign'),
  'text of 2 MiB': () => 'w'.repeat(2 ** 21),
  'a function': () => () => {},
}
