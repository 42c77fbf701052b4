import type { AnyPlugin } from '../kernel/index.ts'
import audit from '../plugins/observability/audit/index.ts'
import batch from '../plugins/jobs/batch/index.ts'
import bulk from '../plugins/jobs/bulk/index.ts'
import bus from '../plugins/flow/bus/index.ts'
import control from '../plugins/jobs/control/index.ts'
import dashboard from '../plugins/integrations/dashboard/index.ts'
import debounce from '../plugins/jobs/debounce/index.ts'
import doctor from '../plugins/observability/doctor/index.ts'
import encryption from '../plugins/context/encryption/index.ts'
import errors from '../plugins/observability/errors/index.ts'
import expiry from '../plugins/jobs/expiry/index.ts'
import explain from '../plugins/observability/explain/index.ts'
import fairness from '../plugins/jobs/fairness/index.ts'
import flow from '../plugins/flow/flow/index.ts'
import history from '../plugins/observability/history/index.ts'
import http from '../plugins/integrations/http/index.ts'
import instances from '../plugins/observability/instances/index.ts'
import jobOptions from '../plugins/jobs/job-options/index.ts'
import limits from '../plugins/jobs/limits/index.ts'
import logger from '../plugins/context/logger/index.ts'
import offload from '../plugins/context/offload/index.ts'
import onFailure from '../plugins/jobs/on-failure/index.ts'
import progress from '../plugins/context/progress/index.ts'
import registry from '../plugins/jobs/registry/index.ts'
import retention from '../plugins/jobs/retention/index.ts'
import runMessages from '../plugins/flow/run-messages/index.ts'
import runtimeExec from '../plugins/runtimes/exec/index.ts'
import runtimeIsolated from '../plugins/runtimes/isolated/index.ts'
import runtimeNode from '../plugins/runtimes/node/index.ts'
import runtimePython from '../plugins/runtimes/python/index.ts'
import schedule from '../plugins/flow/schedule/index.ts'
import search from '../plugins/jobs/search/index.ts'
import stats from '../plugins/observability/stats/index.ts'
import state from '../plugins/context/state/index.ts'
import step from '../plugins/flow/step/index.ts'
import streaming from '../plugins/context/streaming/index.ts'
import throttle from '../plugins/jobs/throttle/index.ts'
import triggers from '../plugins/flow/triggers/index.ts'
import cancelOn from '../plugins/flow/cancel-on/index.ts'
import unique from '../plugins/jobs/unique/index.ts'
import upcast from '../plugins/context/upcast/index.ts'
import validation from '../plugins/jobs/validation/index.ts'
import wait from '../plugins/flow/wait/index.ts'
import webhooks from '../plugins/flow/webhooks/index.ts'

/** The plugins of every preset, independent of its storage. */
export const capabilities: readonly AnyPlugin[] = [
  upcast,
  encryption,
  offload,
  stats,
  errors,
  audit,
  jobOptions,
  runtimeNode,
  runtimeIsolated,
  runtimePython,
  runtimeExec,
  control,
  search,
  bulk,
  bus,
  webhooks,
  wait,
  state,
  logger,
  progress,
  streaming,
  step,
  expiry,
  debounce,
  throttle,
  limits,
  fairness,
  unique,
  onFailure,
  flow,
  cancelOn,
  runMessages,
  schedule,
  triggers,
  retention,
  history,
  explain,
  instances,
  doctor,
  http,
  dashboard,
  validation,
  batch,
  registry,
]
