import pg from 'pg'
const stats = new Map<string, { n: number; ms: number }>()
const orig = pg.Client.prototype.query as any
;(pg.Client.prototype as any).query = function (this: any, ...args: any[]) {
  const text = typeof args[0] === 'string' ? args[0] : args[0]?.text
  const result = orig.apply(this, args)
  if (result?.then && text) {
    const b = performance.now()
    void result.then(() => { const key = text.replace(/\s+/g, ' ').slice(0, 90); const s = stats.get(key) ?? { n: 0, ms: 0 }; s.n++; s.ms += performance.now() - b; stats.set(key, s) }, () => {})
  }
  return result
}
export function dump() { for (const [k, { n, ms }] of [...stats].sort((a, b) => b[1].ms - a[1].ms).slice(0, 8)) console.log(n, (ms / n).toFixed(2), 'ms', k); stats.clear() }
