import { createKernel, definePreset, QueueError } from 'nuxt-queue/kernel'
import {
  createPluginHarness,
  eventsConformance,
  limitsConformance,
  presetConformance,
  queueConformance,
} from 'nuxt-queue/testing/conformance'
import { capabilities } from '../../presets/common.ts'
import { poorQueue, slowEvents, slowQueue } from './slow-plugins.ts'

const slow = definePreset({ name: 'slow', plugins: [slowQueue, slowEvents, ...capabilities] })

presetConformance({
  name: 'ports that answer late, in real time',
  async create(options) {
    return { kernel: await createKernel({ preset: slow, ...options }), dispose: () => {} }
  },
})

eventsConformance({
  name: 'a store that answers late, in real time',
  async create({ reporter }) {
    const { kernel, ...harness } = await createPluginHarness({ plugins: [slowEvents], reporter, time: 'real' })
    return { ...harness, events: kernel.port('events') }
  },
})

limitsConformance({
  name: 'counters that answer late, in real time',
  async create({ reporter }) {
    const { kernel, ...harness } = await createPluginHarness({ plugins: [slowQueue], reporter, time: 'real' })
    return { ...harness, limits: kernel.port('limits') }
  },
})

queueConformance({
  name: 'an adapter that answers late and declares little, in real time',
  async create({ reporter, maxQueueSize }) {
    if (maxQueueSize !== undefined) throw new QueueError('OPTION_UNSUPPORTED', 'This adapter has no "maxQueueSize".')
    const { kernel, ...harness } = await createPluginHarness({ plugins: [poorQueue], reporter, time: 'real' })
    return { ...harness, queue: kernel.port('queue'), workers: kernel.port('workers') }
  },
})
