import type { ModelMessage, ToolSet } from 'ai'
import { fitText, QueueError, toError, type RunContext } from '../../../../kernel/index.ts'
import { APPROVAL, emitOnce, requestName, withoutUndefined } from './chunks.ts'
import type { AnswerOptions, ChatToolCall } from './options.ts'

type ToolMessage = Extract<ModelMessage, { role: 'tool' }>
type ToolResult = Extract<ToolMessage['content'][number], { type: 'tool-result' }>
type Output = ToolResult['output']

/** What a person says about a call of a tool. */
interface ApprovalResponse {
  approved: boolean
  reason?: string
}

/** The key of the event that carries the response to a request. */
export function approvalKey(runId: string, approvalId: string): string {
  return fitText(`${runId}:${approvalId}`)
}

/**
 * Runs one call of a tool, and returns its result for the model. Waits for a person first if the call needs approval. A tool that fails
 * does not fail the turn: the model reads the error.
 */
export async function runTool(
  ctx: RunContext,
  options: AnswerOptions,
  { call, count, messages }: { call: ChatToolCall; count: number; messages: ModelMessage[] },
): Promise<ToolResult> {
  const { toolCallId, toolName, input } = call
  const of = (output: Output): ToolResult => ({ type: 'tool-result', toolCallId, toolName, output })
  const id = `${count}.${toolCallId}`
  if (await mustBeApproved(ctx, options, call, id)) {
    const { approved, reason } = await approvalOf(ctx, options, toolCallId, id)
    if (!approved) {
      await emitOnce(ctx, `denied ${id}`, [{ type: 'tool-output-denied', toolCallId }])
      return of({ type: 'execution-denied', ...(reason !== undefined && { reason }) })
    }
  }
  const { tools = {}, toolOptions } = options
  const tool = Object.hasOwn(tools, toolName) ? tools[toolName] : undefined
  if (!tool?.execute) throw noExecute(toolName)
  const { execute } = tool
  try {
    const output = await ctx.step.run(
      fitText(`tool ${toolCallId}`),
      async ({ signal }) => {
        const context = { toolCallId, messages, abortSignal: signal, context: undefined as never }
        return withoutUndefined((await lastOf(execute(input as never, context))) ?? null)
      },
      toolOptions,
    )
    await emitOnce(ctx, `output ${id}`, [{ type: 'tool-output-available', toolCallId, output }])
    return of(await modelOutput(tool, toolCallId, input, output))
  } catch (error) {
    if (ctx.cancelled) throw error
    // The page may belong to a stranger, so it does not see the error.
    await emitOnce(ctx, `output ${id}`, [{ type: 'tool-output-error', toolCallId, errorText: 'The tool has failed.' }])
    return of({ type: 'error-text', value: toError(error).message })
  }
}

async function mustBeApproved(
  ctx: RunContext,
  { needsApproval = [] }: AnswerOptions,
  call: ChatToolCall,
  id: string,
): Promise<boolean> {
  if (typeof needsApproval !== 'function') return needsApproval.includes(call.toolName)
  return ctx.step.run(fitText(`approval needed ${id}`), () => needsApproval(call))
}

/** Asks on the page, and waits for the response without a process. */
async function approvalOf(
  ctx: RunContext,
  { approvalTimeout }: AnswerOptions,
  toolCallId: string,
  approvalId: string,
): Promise<ApprovalResponse> {
  await emitOnce(ctx, requestName(approvalId), [{ type: 'tool-approval-request', approvalId, toolCallId }])
  const response = await ctx.step.waitForEvent(fitText(`approval ${approvalId}`), {
    event: APPROVAL,
    key: approvalKey(ctx.runId, approvalId),
    once: true,
    ...(approvalTimeout !== undefined && { timeout: approvalTimeout }),
  })
  // Other code may send this event too, so only a clear yes counts.
  const { approved, reason } = (response ?? { reason: 'Nobody has responded in time.' }) as Record<string, unknown>
  const said = { approved: approved === true, ...(typeof reason === 'string' && { reason }) }
  await emitOnce(ctx, `response ${approvalId}`, [{ type: 'tool-approval-response', approvalId, ...said }])
  return said
}

/** A tool may return values one after another. The last one is its result. */
async function lastOf(given: unknown): Promise<unknown> {
  const value = await given
  if (!isIterable(value)) return value
  let last: unknown
  for await (const one of value) last = one
  return last
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

async function modelOutput(
  tool: ToolSet[string],
  toolCallId: string,
  input: unknown,
  output: unknown,
): Promise<Output> {
  if (tool.toModelOutput) return tool.toModelOutput({ toolCallId, input, output })
  if (typeof output === 'string') return { type: 'text', value: output }
  return { type: 'json', value: output as never }
}

function noExecute(name: string): QueueError {
  const hint = 'Tools of a durable chat run on the server: give it "execute".'
  return new QueueError('OPTION_INVALID', `The tool "${name.slice(0, 100)}" has no function "execute". ${hint}`, {
    retryable: false,
  })
}
