import { useKeys } from './use-keys.ts'

/** Moves through the rows of a list with `j` and `k`. Each row contains a link with `data-row`. */
export function useListKeys(): void {
  const move = (by: number) => () => {
    const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')]
    const at = rows.indexOf(document.activeElement as HTMLElement)
    rows[Math.min(rows.length - 1, Math.max(0, at + by))]?.focus()
  }
  useKeys(
    { keys: 'j', does: 'Go to the next row', act: move(1) },
    { keys: 'k', does: 'Go to the previous row', act: move(-1) },
  )
}
