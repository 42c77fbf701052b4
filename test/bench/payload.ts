export interface Order {
  orderId: string
  customer: object
  items: { sku: string; title: string; quantity: number; price: number; taxable: boolean }[]
  currency: string
  note: string
  tags: string[]
}

/** A typical order of a shop: 1 KB of nested JSON. */
export const ORDER: Order = {
  orderId: 'ord_18f2a7c9',
  customer: {
    id: 4211,
    name: 'Ada Lovelace',
    email: 'ada@example.com',
    address: { street: '12 Analytical Row', city: 'London', zip: 'N1 9GU', country: 'GB' },
  },
  items: Array.from({ length: 8 }, (_, index) => ({
    sku: `sku-${1000 + index}`,
    title: `Difference engine part ${index}`,
    quantity: index + 1,
    price: 9.99 + index,
    taxable: index % 2 === 0,
  })),
  currency: 'GBP',
  note: 'Leave with the neighbour at number 14 if nobody is in.',
  tags: ['priority', 'gift'],
}

/** What a job does with it. */
export function total({ items }: Order): number {
  return items.reduce((sum, { price, quantity }) => sum + price * quantity, 0)
}
