/** What a body is, by its header `content-type`: case and parameters such as `; charset=utf-8` make no difference. */
export function mediaOf(headers: Headers): 'json' | 'form' | 'other' {
  const [type = ''] = (headers.get('content-type') ?? '').toLowerCase().split(';', 1)
  if (/^application\/(?:[\w.+-]+\+)?json$/.test(type.trim())) return 'json'
  return type.trim() === 'application/x-www-form-urlencoded' ? 'form' : 'other'
}
