import type { AnyPlugin } from '../kernel/index.ts'
import batch from '../plugins/batch/index.ts'
import bus from '../plugins/bus/index.ts'
import control from '../plugins/control/index.ts'
import debounce from '../plugins/debounce/index.ts'
import explain from '../plugins/explain/index.ts'
import flow from '../plugins/flow/index.ts'
import history from '../plugins/history/index.ts'
import http from '../plugins/http/index.ts'
import instances from '../plugins/instances/index.ts'
import jobOptions from '../plugins/job-options/index.ts'
import limits from '../plugins/limits/index.ts'
import logger from '../plugins/logger/index.ts'
import progress from '../plugins/progress/index.ts'
import registry from '../plugins/registry/index.ts'
import retention from '../plugins/retention/index.ts'
import runtimeExec from '../plugins/runtime-exec/index.ts'
import runtimeIsolated from '../plugins/runtime-isolated/index.ts'
import runtimeNode from '../plugins/runtime-node/index.ts'
import runtimePython from '../plugins/runtime-python/index.ts'
import schedule from '../plugins/schedule/index.ts'
import state from '../plugins/state/index.ts'
import step from '../plugins/step/index.ts'
import streaming from '../plugins/streaming/index.ts'
import throttle from '../plugins/throttle/index.ts'
import triggers from '../plugins/triggers/index.ts'
import upcast from '../plugins/upcast/index.ts'
import validation from '../plugins/validation/index.ts'
import wait from '../plugins/wait/index.ts'
import webhooks from '../plugins/webhooks/index.ts'

/** What every preset has, whatever it stores in. */
export const capabilities: readonly AnyPlugin[] = [
  upcast,
  jobOptions,
  runtimeNode,
  runtimeIsolated,
  runtimePython,
  runtimeExec,
  control,
  bus,
  webhooks,
  wait,
  state,
  logger,
  progress,
  streaming,
  step,
  debounce,
  throttle,
  limits,
  flow,
  schedule,
  triggers,
  retention,
  history,
  explain,
  instances,
  http,
  validation,
  batch,
  registry,
]
