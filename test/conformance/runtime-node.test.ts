import { runtimeConformance } from 'nuxt-queue/testing/conformance'
import runtimeNode from '../../plugins/runtime-node/index.ts'

runtimeConformance({ name: 'runtime-node', runtime: 'node', plugins: [runtimeNode] })
