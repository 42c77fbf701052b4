import { endsOnce } from './ends-once.ts'

endsOnce(500)
