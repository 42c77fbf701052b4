import type { ToolUIPart, UIMessage } from 'ai'

/** The part of a message that shows a refund. */
export type RefundPart = ToolUIPart<{ refund: { input: { order: string; cents: number }; output: unknown } }>

export function isRefund(part: UIMessage['parts'][number]): part is RefundPart {
  return part.type === 'tool-refund'
}

/** Returns the words and the class for the state of a tool. */
export function toolState(state: RefundPart['state']): { text: string; look: string } {
  switch (state) {
    case 'output-available':
      return { text: 'Refunded', look: 'completed' }
    case 'output-denied':
      return { text: 'Refused', look: 'cancelled' }
    case 'output-error':
      return { text: 'Failed', look: 'failed' }
    default:
      return { text: 'Running', look: 'running' }
  }
}

export function money(cents: number): string {
  return new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' }).format(cents / 100)
}
