import { runtimeConformance } from 'nuxt-queue/testing/conformance'
import runtimeNode from '../../plugins/runtimes/node/index.ts'

runtimeConformance({ name: 'runtime-node', runtime: 'node', plugins: [runtimeNode] })
