import { expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { defineWorkerConfig, type QueryContext, type UpdateContext } from '../../index.ts'
import type { MessageInput, MessageName, MessageResult } from '../../plugins/flow/run-messages/index.ts'

const state = z.object({ prices: z.array(z.number()).default([]), address: z.string() })
const address = z.object({ street: z.string() })

const config = defineWorkerConfig({
  flow: { name: 'order', role: 'entry' },
  state,
  queries: {
    total: ({ state: { prices } }: QueryContext<typeof state>) => prices.length,
    above: { input: z.number(), run: async ({ input }: QueryContext<typeof state, number>) => [input] },
  },
  updates: {
    address: {
      input: address,
      handler({ input, state: { address: before }, set }: UpdateContext<typeof state, typeof address>) {
        set({ address: input.street })
        return { before }
      },
    },
    clear: { handler: ({ set }) => set({ address: '' }) },
  },
})

/** The workers as the Nuxt and Nitro modules declare them. */
interface Workers {
  order: { config: typeof config }
  other: { config: { flow: { name: 'other'; role: 'entry' } } }
  plain: { handler: () => void }
}

it('types queries and updates of a flow by the configs of its workers', () => {
  expectTypeOf<MessageName<'order', 'queries', Workers>>().toEqualTypeOf<'total' | 'above'>()
  expectTypeOf<MessageName<'order', 'updates', Workers>>().toEqualTypeOf<'address' | 'clear'>()
  expectTypeOf<MessageResult<'order', 'queries', 'total', Workers>>().toEqualTypeOf<number>()
  expectTypeOf<MessageInput<'order', 'queries', 'above', Workers>>().toEqualTypeOf<[input: number]>()
  expectTypeOf<MessageResult<'order', 'queries', 'above', Workers>>().toEqualTypeOf<number[]>()
  expectTypeOf<MessageInput<'order', 'updates', 'address', Workers>>().toEqualTypeOf<[input: { street: string }]>()
  expectTypeOf<MessageResult<'order', 'updates', 'address', Workers>>().toEqualTypeOf<{ before: string | undefined }>()
  expectTypeOf<MessageInput<'order', 'updates', 'clear', Workers>>().toEqualTypeOf<[input?: unknown]>()
  expectTypeOf<MessageName<'other', 'queries', Workers>>().toEqualTypeOf<string>()
  expectTypeOf<MessageResult<'other', 'queries', string, Workers>>().toEqualTypeOf<unknown>()
})
