/** Returns the kind of a body from its header `content-type`. Ignores case and parameters such as `; charset=utf-8`. */
export function mediaOf(headers: Headers): 'json' | 'form' | 'other' {
  const [type = ''] = (headers.get('content-type') ?? '').toLowerCase().split(';', 1)
  if (/^application\/(?:[\w.+-]+\+)?json$/.test(type.trim())) return 'json'
  return type.trim() === 'application/x-www-form-urlencoded' ? 'form' : 'other'
}
