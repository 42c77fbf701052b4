// With every Python that is installed. `npm test` uses the one on the PATH and the oldest.
import './protocol-child.test.ts'
