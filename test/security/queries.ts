import { parseSync } from 'rolldown/utils'
import { dirname, resolve } from 'pathe'

/** A node of the syntax tree, with the members that are read here. */
interface Node {
  type: string
  start: number
  parent?: Node
  file: string
  [member: string]: unknown
}

/** Functions whose result is allowed in a query for any argument. */
const QUOTING = new Set(['quoteName', 'quoteText'])
/** Functions that pass on their first argument as a query, so that their callers are checked. */
const PASSING = new Set(['query', 'executeSql', 'own'])
/** Matches texts that are queries, wherever they are used. */
const QUERY = /^\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|LISTEN|BEGIN|LOCK)\b.*|\bredis\.call\(/s

/**
 * Finds the texts of queries, in SQL and in Lua, that depend on a value: arguments of `query`, `ask`, `defineScript` or
 * `eval`, and templates that look like one. Constants, placeholders and what `quoteName` and `quoteText` return are
 * followed through variables, functions and files.
 *
 * @param sources texts by their path
 * @returns one line for each place where another value enters a query
 */
export function findInterpolations(sources: ReadonlyMap<string, string>): string[] {
  const programs = new Map<string, Node>()
  const nodes: Node[] = []
  for (const [file, text] of sources) {
    const program = parseSync(file, text).program as unknown as Node
    link(program, file, nodes)
    programs.set(file, program)
  }
  const calls = Map.groupBy(
    nodes.filter(({ type }) => type === 'CallExpression'),
    (call) => nameOf(call.callee as Node),
  )
  const changes = Map.groupBy(
    nodes.filter(
      ({ type, callee }) => type === 'AssignmentExpression' || (callee && nameOf(callee as Node) === 'push'),
    ),
    ({ file }) => file,
  )
  const found = new Set<string>()
  const checked = new Set<Node>()

  /** Checks each node once, because a recursive reference adds nothing. */
  function check(node: Node | undefined): void {
    if (!node || checked.has(node)) return
    checked.add(node)
    isText(node)
  }

  function refuse(node: Node): void {
    const text = sources.get(node.file)!
    const line = text.slice(0, node.start).split('\n').length
    found.add(`${node.file}:${line}: ${text.slice(node.start, node.end as number)}`)
  }

  function isText(node: Node): void {
    switch (node.type) {
      case 'Literal':
        return
      case 'TemplateLiteral':
        return (node.expressions as Node[]).forEach(check)
      case 'ArrayExpression':
        return (node.elements as Node[]).forEach(check)
      case 'ObjectExpression':
        return (node.properties as Node[]).forEach((one) => check((one.value ?? one.argument) as Node))
      case 'BinaryExpression':
      case 'LogicalExpression':
        return [node.left as Node, node.right as Node].forEach(check)
      case 'ConditionalExpression':
        return [node.consequent as Node, node.alternate as Node].forEach(check)
      case 'AwaitExpression':
      case 'TSAsExpression':
      case 'TSNonNullExpression':
      case 'TSSatisfiesExpression':
      case 'SpreadElement':
        return check((node.expression ?? node.argument) as Node)
      case 'ArrowFunctionExpression':
      case 'FunctionExpression':
      case 'FunctionDeclaration':
        return returned(node).forEach(check)
      case 'MemberExpression':
        return isMember(node)
      case 'CallExpression':
        return isCall(node)
      case 'Identifier':
        return isNamed(node)
      default:
        refuse(node)
    }
  }

  function isMember(node: Node): void {
    const property = node.property as Node
    if (property.name === 'length' && node.computed !== true) return
    check(node.object as Node)
  }

  function isCall(node: Node): void {
    const callee = node.callee as Node
    const name = nameOf(callee)
    if (QUOTING.has(name)) return
    if (callee.type !== 'MemberExpression') return callee.type === 'Identifier' ? isNamed(callee) : refuse(node)
    const [first] = node.arguments as Node[]
    // The length of an array of values: the number of a placeholder.
    if (name === 'push') return
    if (name === 'join') return [callee.object as Node, first].forEach((one) => check(one))
    if (name === 'map') return check(first)
    if (name === 'replaceAll') return [callee.object as Node, (node.arguments as Node[])[1]].forEach(check)
    if (name === 'from' && nameOf(callee.object as Node) === 'Array') return check((node.arguments as Node[])[1])
    refuse(node)
  }

  function isNamed(node: Node): void {
    if (node.name === 'undefined') return
    const bound = declarationOf(node)
    if (!bound) return refuse(node)
    const { pattern, owner } = bound
    if (owner.type === 'VariableDeclarator') {
      if (pattern.type === 'Identifier') {
        if (isLoopOver(owner)) return refuse(node)
        check(owner.init as Node)
        return changesOf(node.name as string, owner).forEach(check)
      }
      return isTakenApart(node, pattern, owner)
    }
    if (owner.type === 'ImportSpecifier') return isImported(node, owner)
    if (FUNCTION.test(owner.type) && owner.id === pattern) return check(owner)
    if (FUNCTION.test(owner.type)) isParameter(node, pattern, owner)
    else refuse(node)
  }

  /** `[name, value] of Object.entries({ … })` yields constant names, and `[index, value] of list.entries()` yields numbers. */
  function isTakenApart(node: Node, pattern: Node, owner: Node): void {
    const loop = isLoopOver(owner)
    const list = (loop ? loop.right : owner.init) as Node | undefined
    const index = ((pattern.elements ?? []) as (Node | null)[]).findIndex((one) => one?.name === node.name)
    if (!list || index === -1) return refuse(node)
    if (!loop) return list.type === 'ArrayExpression' ? check((list.elements as Node[])[index]) : refuse(node)
    const callee = list.callee as Node | undefined
    if (list.type !== 'CallExpression' || nameOf(callee!) !== 'entries') return refuse(node)
    if (nameOf(callee!.object as Node) !== 'Object') return index === 0 ? undefined : check(callee!.object as Node)
    const [object] = list.arguments as Node[]
    const written = object?.type === 'Identifier' ? (declarationOf(object)?.owner.init as Node | undefined) : object
    const plain = ((written?.properties ?? [{}]) as Node[]).every(({ key, computed }) => key && computed !== true)
    if (index !== 0 || !plain) refuse(node)
  }

  function isImported(node: Node, specifier: Node): void {
    const exported = exportedBy(specifier)
    if (!exported) return refuse(node)
    check((exported.init as Node | undefined) ?? exported)
  }

  function exportedBy(specifier: Node): Node | undefined {
    const from = ((specifier.parent as Node).source as Node).value as string
    const program = programs.get(resolve('/', dirname(specifier.file), from).slice(1))
    return program && declaredIn(program, (specifier.imported as Node).name as string)?.owner
  }

  /** A parameter has the values of all callers. The parameters of a callback of `map` are the elements and a number. */
  function isParameter(node: Node, pattern: Node, owner: Node): void {
    const parameters = owner.params as Node[]
    const position = parameters.findIndex((one) => one === pattern || one.left === pattern)
    const name = functionName(owner)
    if (position === 0 && PASSING.has(name ?? '')) return
    const caller = owner.parent!
    const takes = caller.type === 'CallExpression' ? (caller.callee as Node) : undefined
    if (position === 1 && takes && /^(?:map|from)$/.test(nameOf(takes))) return
    if (position === 0 && takes && nameOf(takes) === 'map') return check(takes.object as Node)
    const callers = name === undefined ? [] : (calls.get(name) ?? []).filter((call) => mayCall(call, owner))
    if (position === -1 || callers.length === 0) return refuse(node)
    for (const call of callers) {
      const given = (call.arguments as Node[])[position]
      check(given ?? ((parameters[position] as Node).right as Node | undefined))
    }
  }

  /** Returns whether a call with this name may call this function. For methods, every call may. */
  function mayCall({ callee }: Node, owner: Node): boolean {
    const called = callee as Node
    if (called.type !== 'Identifier') return owner.parent!.type === 'Property'
    const bound = declarationOf(called)?.owner
    const declared = bound?.type === 'ImportSpecifier' ? exportedBy(bound) : bound
    return declared === owner || declared === owner.parent
  }

  for (const call of calls.values()) for (const one of call) check(queryOf(one))
  for (const node of nodes) {
    if (node.type !== 'TemplateLiteral') continue
    const text = (node.quasis as Node[]).map(({ value }) => (value as { raw: string }).raw).join('?')
    if (QUERY.test(text)) check(node)
  }
  return [...found].toSorted()

  /** Returns the expressions that are appended or pushed to a variable in its scope. */
  function changesOf(name: string, declarator: Node): Node[] {
    return (changes.get(declarator.file) ?? []).flatMap((node) => {
      if (node.type === 'AssignmentExpression' && isSame(node.left as Node)) return node.right as Node
      const callee = node.callee as Node | undefined
      const pushes = node.type === 'CallExpression' && nameOf(callee!) === 'push' && isSame(callee!.object as Node)
      return pushes ? (node.arguments as Node[]) : []
    })
    function isSame(node: Node | undefined): boolean {
      return node?.type === 'Identifier' && node.name === name && declarationOf(node)?.owner === declarator
    }
  }
}

const FUNCTION = /^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/

function link(node: Node, file: string, into: Node[], parent?: Node): void {
  Object.assign(node, { file, parent })
  into.push(node)
  for (const [name, child] of Object.entries(node)) {
    if (name === 'parent') continue
    for (const one of [child].flat()) if (isNode(one)) link(one, file, into, node)
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'
}

function nameOf(node: Node): string {
  const named = node.type === 'MemberExpression' && node.computed !== true ? (node.property as Node) : node
  return typeof named.name === 'string' ? named.name : ''
}

/** Returns the text of the query that a call sends, if any. */
function queryOf({ callee, arguments: given }: Node): Node | undefined {
  const [first, second] = given as Node[]
  const name = nameOf(callee as Node)
  if (PASSING.has(name)) return first
  if (name === 'ask' || name === 'defineScript') return second
  if (name === 'call' && first?.value === 'eval') return ((second?.elements ?? []) as Node[])[0]
  return undefined
}

/** The name under which a function is called: its own, its variable's or its property's. */
function functionName(node: Node): string | undefined {
  const parent = node.parent!
  const named = (node.id ?? (parent.type === 'VariableDeclarator' ? parent.id : parent.key)) as Node | undefined
  return named?.name as string | undefined
}

function returned(node: Node): Node[] {
  const body = node.body as Node
  if (body.type !== 'BlockStatement') return [body]
  const all: Node[] = []
  const look = (inner: Node): void => {
    if (FUNCTION.test(inner.type)) return
    if (inner.type === 'ReturnStatement' && inner.argument) all.push(inner.argument as Node)
    for (const [name, child] of Object.entries(inner)) {
      if (name !== 'parent') for (const one of [child].flat()) if (isNode(one)) look(one)
    }
  }
  look(body)
  return all
}

interface Declaration {
  /** Returns the declaration of a name: an identifier, or the pattern that contains it. */
  pattern: Node
  owner: Node
}

function declarationOf(node: Node): Declaration | undefined {
  for (let scope = node.parent; scope; scope = scope.parent) {
    const there = declaredIn(scope, node.name as string)
    if (there) return there
  }
  return undefined
}

function declaredIn(scope: Node, name: string): Declaration | undefined {
  if (FUNCTION.test(scope.type)) {
    const pattern = (scope.params as Node[]).map((one) => (one.left ?? one) as Node).find((one) => declares(one, name))
    return pattern && { pattern, owner: scope }
  }
  const statements =
    scope.type === 'Program' || scope.type === 'BlockStatement'
      ? (scope.body as Node[])
      : [scope.left, scope.init].filter(isNode)
  for (const statement of statements) {
    const declaration = (statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement) as Node | null
    const owners = (declaration?.declarations ?? declaration?.specifiers ?? [declaration]) as (Node | null)[]
    for (const owner of owners) {
      const pattern = (owner?.local ?? owner?.id) as Node | undefined
      if (pattern && declares(pattern, name)) return { pattern, owner: owner! }
    }
  }
  return undefined
}

function declares(pattern: Node, name: string): boolean {
  if (pattern.type === 'Identifier') return pattern.name === name
  const parts = (pattern.elements ?? pattern.properties ?? []) as (Node | null)[]
  return parts.some((one) => one && declares((one.value ?? one.left ?? one.argument ?? one) as Node, name))
}

/** Returns the loop of a declarator. */
function isLoopOver(declarator: Node): Node | undefined {
  const loop = declarator.parent?.parent
  return loop?.type === 'ForOfStatement' && loop.left === declarator.parent ? loop : undefined
}
