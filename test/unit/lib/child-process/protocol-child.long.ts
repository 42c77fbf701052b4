// With every Python that is installed. `npm test` takes the one of the PATH and the oldest.
import './protocol-child.test.ts'
