// With Redis as well.
import './dev.test.ts'
