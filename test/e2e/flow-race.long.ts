import { endsOnce } from './ends-once.ts'

endsOnce(2000)
