import { setImmediate } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { createKernel, definePlugin, isQueueError, type AnyPlugin, type Kernel } from '../../../kernel/index.ts'

/** A kernel whose only hook in use is `reduce`, which needs no port. */
async function kernelWith(...plugins: AnyPlugin[]): Promise<(fold?: Record<string, unknown>) => Promise<unknown>> {
  const kernel = await createKernel({ plugins })
  return async (state = {}) => {
    await kernel.reduce({ runId: 'run', events: [], at: undefined, state })
    return state
  }
}

function hooking(name: string, handler: Parameters<Kernel['hook']>[1], enforce?: 'pre' | 'post'): AnyPlugin {
  return definePlugin({ name, enforce, setup: (kernel) => void kernel.hook('reduce', handler as never) })
}

describe('order', () => {
  it('runs pre, normal and post plugins outside in, and in the order of registration within', async () => {
    const order: string[] = []
    const note = (name: string, enforce?: 'pre' | 'post'): AnyPlugin =>
      hooking(
        name,
        async (_payload, next) => {
          order.push(`>${name}`)
          await next()
          order.push(`<${name}`)
        },
        enforce,
      )
    const reduce = await kernelWith(note('post', 'post'), note('a'), note('pre', 'pre'), note('b'))
    await reduce()
    expect(order).toEqual(['>pre', '>a', '>b', '>post', '<post', '<b', '<a', '<pre'])
  })

  it('keeps the place of a plugin that registers late', async () => {
    const order: string[] = []
    let late: (() => void) | undefined
    const early = definePlugin({
      name: 'early',
      enforce: 'pre',
      setup(kernel) {
        late = () => void kernel.hook('reduce', (_payload, next) => (order.push('early'), next()))
      },
    })
    const reduce = await kernelWith(
      early,
      hooking('later', (_payload, next) => (order.push('later'), next())),
    )
    late!()
    await reduce()
    expect(order).toEqual(['early', 'later'])
  })

  it('removes a handler', async () => {
    const handler = vi.fn((_payload: unknown, next: () => unknown) => next() as void)
    const kernel = await createKernel()
    const remove = kernel.hook('reduce', handler)
    await kernel.reduce({ runId: 'run', events: [], at: undefined, state: {} })
    remove()
    await kernel.reduce({ runId: 'run', events: [], at: undefined, state: {} })
    expect(handler).toHaveBeenCalledOnce()
  })

  it('skips a handler whose filter does not match', async () => {
    const handler = vi.fn((_payload: unknown, next: () => unknown) => next() as void)
    const kernel = await createKernel()
    kernel.hook('reduce', handler, { when: ({ runId }) => runId === 'mine' })
    await kernel.reduce({ runId: 'other', events: [], at: undefined, state: {} })
    await kernel.reduce({ runId: 'mine', events: [], at: undefined, state: {} })
    expect(handler).toHaveBeenCalledOnce()
  })
})

describe('a handler that only watches', () => {
  it.each(['sync', 'async'])('is called after the handlers inside it, %s', async (kind) => {
    const order: string[] = []
    const kernel = await createKernel()
    kernel.hook('reduce', () => void order.push('watched'), { after: true, when: ({ runId }) => runId === 'mine' })
    kernel.hook('reduce', async (_payload, next) => {
      if (kind === 'async') await setImmediate()
      order.push('inner')
      return next()
    })
    await kernel.reduce({ runId: 'other', events: [], at: undefined, state: {} })
    await kernel.reduce({ runId: 'mine', events: [], at: undefined, state: {} })
    expect(order).toEqual(['inner', 'inner', 'watched'])
  })

  it('is not called after a failure', async () => {
    const watch = vi.fn()
    const kernel = await createKernel()
    kernel.hook('reduce', watch, { after: true })
    const remove = kernel.hook('reduce', () => {
      throw new Error('at once')
    })
    await expect(async () => kernel.reduce({ runId: 'run', events: [], at: undefined, state: {} })).rejects.toThrow(
      'at once',
    )
    remove()
    kernel.hook('reduce', async () => {
      await setImmediate()
      throw new Error('later')
    })
    await expect(kernel.reduce({ runId: 'run', events: [], at: undefined, state: {} })).rejects.toThrow('later')
    expect(watch).not.toHaveBeenCalled()
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('gone')
      },
      'gone',
    ],
    [
      'rejects',
      async () => {
        throw new Error('gone')
      },
      'gone',
    ],
    ['calls next()', (_payload: unknown, next: () => unknown) => void next(), 'called next() with the option "after"'],
  ])('harms nothing when it %s', async (_what, watch, message) => {
    const error = vi.fn()
    const watching = definePlugin({
      name: 'watching',
      setup: (kernel) => void kernel.hook('reduce', watch, { after: true }),
    })
    const kernel = await createKernel({ plugins: [watching], reporter: { warn() {}, error } })
    await kernel.reduce({ runId: 'run', events: [], at: undefined, state: {} })
    await setImmediate()
    expect(error.mock.calls).toEqual([
      [
        'Plugin "watching" failed after hook "reduce".',
        expect.objectContaining({ message: expect.stringContaining(message) }),
      ],
    ])
  })
})

describe('misuse', () => {
  it.each([
    ['sync', (_payload: unknown, next: () => unknown) => (next(), next() as void)],
    ['async', async (_payload: unknown, next: () => unknown) => (await next(), void (await next()))],
  ])('refuses next() twice, %s', async (_kind, handler) => {
    const reduce = await kernelWith(hooking('twice', handler))
    await expect(reduce()).rejects.toMatchObject({ code: 'HOOK_MISUSED', plugin: 'twice', hook: 'reduce' })
  })

  it('rejects a return before next() has settled, and swallows no error', async () => {
    const slow = Promise.withResolvers<void>()
    const reduce = await kernelWith(
      hooking('hasty', (_payload, next) => void next()),
      hooking('slow', async (_payload, next) => {
        await slow.promise
        await next()
      }),
    )
    await expect(reduce()).rejects.toMatchObject({ code: 'HOOK_MISUSED', plugin: 'hasty' })
    slow.resolve()
  })

  it('rejects a handler that never calls next() in a hook that requires it', async () => {
    const reduce = await kernelWith(hooking('mute', () => {}))
    await expect(reduce()).rejects.toMatchObject({ code: 'HOOK_MISUSED', plugin: 'mute' })
  })

  it('rejects a handler that is not a function and unknown hooks', async () => {
    const kernel = await createKernel()
    expect(() => kernel.hook('reduce', 'handler' as never)).toThrow(/registers a string on hook "reduce"/)
    expect(() => kernel.hook('redcue' as never, () => {})).toThrow(/one of: enqueue, dispatch, context, emit, reduce/)
  })
})

describe('errors', () => {
  it.each([
    [
      'throws',
      () => {
        throw new TypeError('broken')
      },
    ],
    [
      'rejects',
      async () => {
        throw new TypeError('broken')
      },
    ],
  ])('names plugin and hook and keeps the cause when a handler %s', async (_how, handler) => {
    const outer = hooking('outer', async (_payload, next) => await next())
    const reduce = await kernelWith(outer, hooking('inner', handler))
    const error = await reduce().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'HOOK_FAILED',
      plugin: 'inner',
      hook: 'reduce',
      message: expect.stringContaining('broken'),
    })
    expect((error as Error).cause).toBeInstanceOf(TypeError)
  })

  it('lets a handler turn an error from further in into another outcome', async () => {
    const reduce = await kernelWith(
      hooking('guard', async (payload, next) => {
        try {
          await next()
        } catch (error) {
          const { state } = payload as { state: Record<string, unknown> }
          state.code = isQueueError(error) && error.plugin
        }
      }),
      hooking('broken', () => {
        throw new Error('x')
      }),
    )
    expect(await reduce()).toEqual({ code: 'broken' })
  })

  it('attributes an error that a handler throws after next() to that handler', async () => {
    const reduce = await kernelWith(
      hooking('after', async (_payload, next) => {
        await next()
        throw new Error('afterwards')
      }),
      hooking('fine', (_payload, next) => next()),
    )
    await expect(reduce()).rejects.toMatchObject({ plugin: 'after' })
  })
})
