import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'pathe'
import { describe, expect, it } from 'vitest'
import { findInterpolations } from './queries.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FILES = ['plugins/adapters/{postgres,pglite,redis,lib}/**/*.ts']
/** The other end of a port, which runs what it is sent. */
const PASSES_ON = 'plugins/adapters/pglite/thread.ts'

const find = (code: string, others: Record<string, string> = {}): string[] =>
  findInterpolations(new Map([['a.ts', code], ...Object.entries(others)]))

describe('queries in SQL and Lua', () => {
  it('hold constants, placeholders and quoted names, and nothing else', () => {
    const files = globSync(FILES, { cwd: ROOT }).filter((file) => file !== PASSES_ON)
    expect(files.length).toBeGreaterThan(50)
    expect(findInterpolations(new Map(files.map((file) => [file, readFileSync(join(ROOT, file), 'utf8')])))).toEqual([])
  })

  it.each([
    ['a value', 'const read = (db, id) => db.query(`SELECT * FROM t WHERE id = ${id}`)', 'a.ts:1: id'],
    [
      'a quoted value',
      "const read = (db, id) => db.query(`SELECT * FROM t WHERE id = '${id.trim()}'`)",
      'a.ts:1: id.trim()',
    ],
    ['a sum of texts', "const read = (db, id) => db.query('SELECT * FROM t WHERE id = ' + id)", 'a.ts:1: id'],
    [
      'a text that grows',
      "const read = (db, id) => { let text = 'SELECT 1'; text += id; db.query(text) }",
      'a.ts:1: id',
    ],
    [
      'a condition in a list',
      "const list = (db, states) => { const where = ['true']; where.push(`state = '${states[0]}'`); db.query(where.join(' AND ')) }",
      'a.ts:1: states',
    ],
    ['each of a list', 'const list = (db, ids) => db.query(ids.map((id) => `(${id})`).join())', 'a.ts:1: ids'],
    [
      'an argument of a function',
      "const named = (name) => `nq_${name}`\nconst run = (db, { to }) => db.query(`SELECT * FROM ${named('a')}, ${named(to)}`)",
      'a.ts:2: to',
    ],
    [
      'a name of whoever calls',
      'for (const [name] of Object.entries(given)) db.query(`SELECT ${name}`)',
      'a.ts:1: name',
    ],
    ['a text that is handed on later', 'const text = (id) => `DELETE FROM t WHERE id = ${id}`', 'a.ts:1: id'],
    ['Lua', "const script = (redis, key) => defineScript(redis, `return redis.call('GET', '${key}')`)", 'a.ts:1: key'],
    ['Lua that is evaluated', "const run = (client, key) => client.call('eval', ['return ' + key, 0])", 'a.ts:1: key'],
  ])('%s is found', (_what, code, found) => {
    expect(find(code)).toEqual([found])
  })

  it('an argument that another file uses is checked there', () => {
    const helper = 'export function by(column) {\n  return `ORDER BY ${column}`\n}'
    const caller =
      "import { by } from './b.ts'\nexport const list = (db, order) => db.query(`SELECT * FROM t ${by(order)}`)"
    expect(find(caller, { 'b.ts': helper })).toEqual(['a.ts:2: order'])
  })

  it.each([
    'const read = (db, id) => db.query(`SELECT * FROM ${quoteName(db.schema)}.t WHERE id = $1`, [id])',
    'const COLUMNS = `a, b`\nconst read = (db, id) => db.query(`SELECT ${COLUMNS} FROM t`)',
    'const read = (db, id) => { const all = []; db.query(`SELECT 1 WHERE a = $${all.push(id)}`, all) }',
    "const read = (db, up) => db.query(`SELECT 1 ORDER BY a ${up ? '' : 'DESC'}`)",
    'const SETS = { done: `a = 1`, failed: `a = 2` }\nconst read = (db, set) => db.query(`SELECT 1 WHERE ${SETS[set]}`)',
    "const add = (redis, key) => defineScript(redis, `return redis.call('GET', KEYS[1])`)([key], [])",
  ])('%s is well', (code) => {
    expect(find(code)).toEqual([])
  })
})
