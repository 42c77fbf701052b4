// With every Python that is installed.
import './protocol-child.test.ts'
